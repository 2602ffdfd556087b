using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Where events are kept. The queue of their batches, and everything that is counted, is in PostgreSQL wherever they are, so that what
/// follows from them is the same.
/// </summary>
internal interface IEventStore
{
    /// <summary>Its name in the settings.</summary>
    string Name { get; }

    /// <summary>About how many events are counted in one transaction.</summary>
    int BatchSize { get; }

    /// <summary>
    /// How long counting rests after it was at work, as a multiple of that, unless somebody asks for results: 0 where the cost of counting
    /// an event does not depend on how many are counted together.
    /// </summary>
    int Rest { get; }

    /// <summary>Whether several replicas can count slots of one environment.</summary>
    bool HasSlots { get; }

    /// <summary>Takes batches into the queue whose writer did not live to do that.</summary>
    Task Recover(NpgsqlConnection connection);

    /// <summary>What the events of these batches say of identities, in the order in which they happened.</summary>
    Task<IReadOnlyList<AliasGraph.Statement>> Statements(NpgsqlConnection connection, BatchSet batches, CancellationToken ct);

    /// <summary>Counts the exposures and the metrics of these batches.</summary>
    Task Count(BatchCount count, CancellationToken ct);

    /// <summary>Counts the events of these batches by name.</summary>
    Task CountNames(NpgsqlConnection connection, BatchSet batches, CancellationToken ct);

    /// <summary>Does what is to be done from time to time after so many events have been counted.</summary>
    Task Tidy(NpgsqlConnection connection, int counted);

    /// <summary>
    /// Reads a page of old events. Where identities are counted, those without an identifier may be left out. Returns where the next one
    /// begins, or null after the last.
    /// </summary>
    /// <param name="connection">The connection with the aggregation lock of the environment.</param>
    /// <param name="page">Which events.</param>
    /// <param name="needs">What is needed of them.</param>
    /// <param name="take">Called for each.</param>
    /// <param name="ct">Ends it.</param>
    Task<OldEvents.Place?> Page(
        NpgsqlConnection connection,
        OldEvents page,
        StoredEvent.Needs needs,
        Action<StoredEvent> take,
        CancellationToken ct
    );

    /// <summary>Begins to read the events of an environment, by one that has its aggregation lock, but for those that still wait.</summary>
    /// <param name="source">For a connection of its own.</param>
    /// <param name="locked">The connection with the aggregation lock.</param>
    /// <param name="environmentId">The environment.</param>
    /// <param name="ct">Ends it.</param>
    Task<IEventReading> Read(NpgsqlDataSource source, NpgsqlConnection locked, long environmentId, CancellationToken ct);

    /// <summary>Begins to read a sample of the recent events of an environment.</summary>
    Task<IRecentEvents> Recent(NpgsqlConnection snapshot, RecentEvents which, CancellationToken ct);

    /// <summary>How often events occurred in the last days, and how often after a flag was shown.</summary>
    /// <param name="environmentId">The environment.</param>
    /// <param name="feature">The name of the flag; null for any.</param>
    /// <param name="events">The names of the events.</param>
    /// <param name="days">How many days.</param>
    /// <param name="ct">Ends it.</param>
    Task<IReadOnlyList<EventUse>> Uses(long environmentId, string? feature, string[] events, int days, CancellationToken ct);

    /// <summary>The newest events of these identifiers, and how many there are.</summary>
    Task<(long Total, IReadOnlyList<IdentityEventRow> Newest)> OfIdentity(
        NpgsqlConnection snapshot,
        long environmentId,
        string[] identifiers,
        int most,
        CancellationToken ct
    );

    /// <summary>Deletes the events of these identifiers, and returns how many there were. A client that retries does not bring them
    /// back if they had ids.</summary>
    Task<int> Erase(NpgsqlConnection connection, long environmentId, string[] identifiers, CancellationToken ct);
}

/// <summary>The events of an environment that are counted or too late to count, and none that wait in the queue.</summary>
internal interface IEventReading : IAsyncDisposable
{
    /// <summary>About how many events there are since this instant, of whatever environment.</summary>
    Task<long> Size(DateTime from, CancellationToken ct);

    /// <summary>Reads events, one at a time.</summary>
    /// <param name="filter">Which.</param>
    /// <param name="needs">What is needed of them.</param>
    /// <param name="aliases">The aliases that matter, where the store does not know them itself.</param>
    /// <param name="take">Called for each.</param>
    /// <param name="ct">Ends it.</param>
    Task Each(
        EventFilter filter,
        StoredEvent.Needs needs,
        IReadOnlyList<AliasGraph.Entry> aliases,
        Action<StoredEvent> take,
        CancellationToken ct
    );
}

/// <summary>Which events are read.</summary>
/// <param name="Names">The names.</param>
/// <param name="From">The first instant at which they happened.</param>
/// <param name="Until">The last one.</param>
/// <param name="UnitKey">The key of the units that are counted, or null for the identifier.</param>
/// <param name="Slice">The slice of units; see <see cref="RebuildWriter.Write"/>.</param>
/// <param name="Slices">How many slices there are.</param>
internal sealed record EventFilter(string[] Names, DateTime From, DateTime Until, string? UnitKey, int Slice, int Slices);

/// <summary>Events of an environment that are read page by page, in an order of the store.</summary>
/// <param name="EnvironmentId">The environment.</param>
/// <param name="Names">The names.</param>
/// <param name="From">About the first instant at which they happened; earlier ones may be read as well.</param>
/// <param name="Until">About the last one.</param>
/// <param name="After">Where the page begins; null for the first.</param>
/// <param name="Size">About how many events a page has.</param>
internal sealed record OldEvents(long EnvironmentId, string[] Names, DateTime From, DateTime Until, OldEvents.Place? After, int Size)
{
    /// <summary>A place between two events, which only the store understands.</summary>
    internal sealed record Place(DateTime At, long Key);
}

/// <summary>Recent events of an environment.</summary>
/// <param name="EnvironmentId">The environment.</param>
/// <param name="UnitKey">The key of their units, or null for the identifier.</param>
/// <param name="From">The first instant.</param>
/// <param name="Until">The last one.</param>
/// <param name="Enough">How many events make a sample large enough.</param>
internal sealed record RecentEvents(long EnvironmentId, string? UnitKey, DateTime From, DateTime Until, long Enough);

/// <summary>A sample of recent events: all of those units that fall into it.</summary>
internal interface IRecentEvents
{
    /// <summary>One of how many units is in the sample.</summary>
    long Share { get; }

    /// <summary>How many units were active first at this instant or before, and when the first of them was.</summary>
    Task<(long Units, DateTime? First)> Active(DateTime latest);

    /// <summary>Reads the events with these names, one at a time.</summary>
    Task Each(string[] names, Action<StoredEvent> take, CancellationToken ct);

    /// <summary>The first event of each of these units.</summary>
    Task<IReadOnlyDictionary<string, DateTime>> FirstOf(string[] units);
}

/// <summary>How often an event occurred, and how often for identities that had been shown a flag.</summary>
internal sealed record EventUse(string Event, long Count, DateTime? LastSeen, long FromExposed, DateTime? FromExposedLastSeen)
{
    /// <summary>What this and other occurrences of it are together.</summary>
    public EventUse And(EventUse other) =>
        new(
            Event,
            Count + other.Count,
            Latest(LastSeen, other.LastSeen),
            FromExposed + other.FromExposed,
            Latest(FromExposedLastSeen, other.FromExposedLastSeen)
        );

    private static DateTime? Latest(DateTime? one, DateTime? other) => one > other || other is null ? one : other;
}

/// <summary>An event of an identity, as it was sent; traits and metadata are JSON.</summary>
internal sealed record IdentityEventRow(string Name, DateTime At, string? FeatureName, string? Value, string? Traits, string? Metadata);
