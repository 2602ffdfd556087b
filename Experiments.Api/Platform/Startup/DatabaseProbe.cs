using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Platform.Startup;

/// <summary>
/// Asks whether the database answers and has the schema of this build, on a connection of its own: requests that use up their pool say
/// nothing about the database.
/// </summary>
internal sealed class DatabaseProbe(DatabaseServer database) : IAsyncDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);

    // Two, so that an abandoned statement does not fail the next probe.
    private readonly NpgsqlDataSource _source = DatabaseSetup.Reserved(database, "health", 2, Limit);

    /// <summary>Asks for an answer. One that takes more than a second is a failure.</summary>
    /// <exception cref="NpgsqlException">The database is unavailable.</exception>
    /// <exception cref="OperationCanceledException">It did not answer in time.</exception>
    public async Task Check(CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(Limit);
        await new Db(_source).Row<Answered>("SELECT true AS yes", null, patience.Token);
    }

    /// <summary>Whether the schema is the one that this build needs.</summary>
    public Task<bool> HasSchema(CancellationToken ct) => Migrator.IsCurrent(_source, ct);

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    private sealed record Answered(bool Yes);
}
