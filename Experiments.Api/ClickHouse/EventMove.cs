using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Moves the events to the other store. They may be copied while the service runs; what has come since is copied once more when it is
/// stopped. Then every experiment that is not final is counted from the copy, and only if each of its identities counts the same as before
/// is the copy what counts from then on.
/// </summary>
internal sealed class EventMove(DatabaseServer database, NpgsqlDataSource source, ClickHouseServer server, TimeSpan late, TextWriter output)
{
    private const string OthersConnected = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name IN ('experiments', 'experiments-aggregation')
            AND pid <> ALL (@own)
        """;

    private const string Unfinished = """
        SELECT e.id FROM experiments e JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
        WHERE e.started_at IS NOT NULL AND e.deleted_at IS NULL AND e.source IS NULL
            AND (e.ended_at IS NULL OR e.ended_at + e.windows_run_on + @late > clock_timestamp())
        ORDER BY e.id
        """;

    private readonly IEventStore _postgres = new PostgresEventStore(
        source,
        Microsoft.Extensions.Logging.Abstractions.NullLogger<PostgresEventStore>.Instance
    );

    private readonly IEventStore _clickHouse = new ClickHouseEventStore(server);

    /// <summary>Copies the events, and switches if that is asked for.</summary>
    /// <param name="target">The store to move them to.</param>
    /// <param name="switches">Whether the copy is to be what counts.</param>
    /// <param name="ct">Ends it.</param>
    /// <exception cref="InvalidOperationException">They are there already, the service runs, or an experiment differs.</exception>
    public async Task Run(string target, bool switches, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        if (await CurrentEventStore.Read(connection) == target)
        {
            throw new InvalidOperationException($"The events are in {target} already.");
        }

        var (from, to) = target == EventOptions.ClickHouse ? (_postgres, _clickHouse) : (_clickHouse, _postgres);
        if (switches)
        {
            await DemandStopped(connection);
            await CountWaiting(from, connection, ct);
        }

        await Copy(target, ct);
        if (!switches)
        {
            await output.WriteLineAsync($"Copied. Stop the service, and add --switch to count from {target} from then on.");
            return;
        }

        await Compare(to, connection, ct);
        await CurrentEventStore.Write(connection, target);
        await output.WriteLineAsync($"The events are in {target} now. Start the service with Events__Store={target}.");
    }

    private Task Copy(string target, CancellationToken ct)
    {
        var copy = new EventCopy(source, server);
        return target == EventOptions.ClickHouse ? copy.ToClickHouse(Tell, ct) : copy.ToPostgres(new Partitions(database), Tell, ct);

        void Tell(DateTime month, long count) => output.WriteLine($"{month:yyyy-MM}: {count:#,0} events");
    }

    private static async Task DemandStopped(NpgsqlConnection connection)
    {
        var own = await connection.QuerySingleAsync<int>("SELECT pg_backend_pid()");
        if (await connection.QuerySingleAsync<long>(OthersConnected, new { own = new[] { own } }) is > 0 and var others)
        {
            throw new InvalidOperationException(
                $"The service still has {others} connections to the database. Stop it, and try again. Nothing was switched."
            );
        }
    }

    private async Task CountWaiting(IEventStore from, NpgsqlConnection connection, CancellationToken ct)
    {
        await from.Recover(connection);
        var batch = new AggregationBatch(from, source, connection, late);
        while (await batch.Run([], null, ct) is > 0)
        {
            // The queue is counted before the events leave.
        }
    }

    private async Task Compare(IEventStore to, NpgsqlConnection connection, CancellationToken ct)
    {
        var rebuild = new RebuildFromEvents(to, source, late);
        var experiments = (await connection.QueryAsync<long>(Unfinished, new { late })).AsList();
        foreach (var id in experiments)
        {
            var found = await rebuild.Compare(id, ct);
            if (found is not { Exposures: 0, Units: 0 })
            {
                throw new InvalidOperationException(
                    $"Experiment {id} would have {found?.Exposures} other exposures and {found?.Units} other values. Nothing was switched."
                );
            }
        }

        await output.WriteLineAsync($"Compared {experiments.Count} unfinished experiments: every identity counts the same.");
    }
}
