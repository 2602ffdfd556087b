using System.Data;
using Dapper;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Reads from a single snapshot, in which every batch is either complete or absent.</summary>
internal sealed class PostgresEventReading : IEventReading
{
    // The minimum size of an event in the database.
    private const int BytesInTable = 100;

    private const string SizeOfMonths = """
        SELECT COALESCE(sum(pg_relation_size(partition::regclass)), 0)::bigint
        FROM event_partitions WHERE begins + interval '1 month' > @from
        """;

    private const string Pending = "SELECT id FROM event_batches WHERE environment_id = @environmentId";

    private static readonly string Events = $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE environment_id = $5 AND event = ANY ($6) AND happened_at BETWEEN $7 AND $8
          AND at BETWEEN $7 - {StoredEvent.Slack} AND $8 + {StoredEvent.Slack}
          AND ($9 = 1 OR {StoredEvent.Slice("unit_of($11, identifier, traits, metadata)", "$9")} = $10)
        """;

    private readonly NpgsqlConnection _reading;
    private readonly NpgsqlTransaction _snapshot;
    private readonly long _environmentId;
    private readonly HashSet<long> _pending;

    private PostgresEventReading(NpgsqlConnection reading, NpgsqlTransaction snapshot, long environmentId, HashSet<long> pending) =>
        (_reading, _snapshot, _environmentId, _pending) = (reading, snapshot, environmentId, pending);

    public static async Task<PostgresEventReading> Begin(NpgsqlDataSource source, long environmentId, CancellationToken ct)
    {
        var reading = await source.OpenConnectionAsync(ct);
        try
        {
            var snapshot = await reading.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
            // This transaction holds only a snapshot, and no lock, while the one that counts writes.
            await reading.ExecuteAsync("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '10min'");
            var pending = (await reading.QueryAsync<long>(Pending, new { environmentId })).ToHashSet();
            return new(reading, snapshot, environmentId, pending);
        }
        catch
        {
            await reading.DisposeAsync();
            throw;
        }
    }

    public async Task<long> Size(DateTime from, CancellationToken ct) =>
        await _reading.QuerySingleAsync<long>(SizeOfMonths, new { from }) / BytesInTable;

    public Task Each(
        EventFilter filter,
        StoredEvent.Needs needs,
        IReadOnlyList<AliasGraph.Entry> aliases,
        Action<StoredEvent> take,
        CancellationToken ct
    ) =>
        StoredEvent.Each(
            _reading,
            Events,
            needs,
            raw =>
            {
                // Queued events are skipped: they will be aggregated later.
                if (!_pending.Contains(raw.Batch))
                {
                    take(raw);
                }
            },
            ct,
            new NpgsqlParameter<long> { TypedValue = _environmentId },
            new NpgsqlParameter<string[]> { TypedValue = filter.Names },
            new NpgsqlParameter<DateTime> { TypedValue = filter.From },
            new NpgsqlParameter<DateTime> { TypedValue = filter.Until },
            new NpgsqlParameter<int> { TypedValue = filter.Slices },
            new NpgsqlParameter<int> { TypedValue = filter.Slice },
            new NpgsqlParameter<string> { TypedValue = filter.UnitKey ?? "" }
        );

    public async ValueTask DisposeAsync()
    {
        await _snapshot.DisposeAsync();
        await _reading.DisposeAsync();
    }
}
