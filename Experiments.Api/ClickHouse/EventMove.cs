using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Moves the events to the other store. They may be copied while the service runs. For the switch, events that come are postponed; what has
/// come before is copied, every experiment that is not final is counted from the copy, and only if each of its identities counts the same
/// as before is the copy what counts from then on. If anything fails, everything is as it was.
/// </summary>
internal sealed class EventMove(DatabaseServer database, NpgsqlDataSource source, ClickHouseShards shards, TimeSpan late, TextWriter output)
{
    private const string Begin = """
        UPDATE event_store SET copied_since = COALESCE(copied_since, clock_timestamp()), moving_to = CASE WHEN @switches THEN @target END
        """;

    // A backfill begins anew: how far it came is told in another way there.
    private const string End = """
        WITH ended AS (
            UPDATE event_store SET store = @store, moved_from = store, moving_to = NULL, copied_until = NULL
            WHERE moving_to = @store
            RETURNING 1
        ), restarted AS (
            UPDATE experiment_metrics SET backfilled_to = NULL, backfilled_key = NULL
            WHERE NOT backfilled AND backfilled_to IS NOT NULL AND EXISTS (SELECT FROM ended)
        )
        SELECT EXISTS (SELECT FROM ended)
        """;

    private const string MovedFrom = "SELECT moved_from FROM event_store";

    private const string Emptied = "UPDATE event_store SET copied_since = NULL, moved_from = NULL";

    private const string Turn = "SELECT pg_try_advisory_lock(hashtext('move events'))";

    // From before the oldest that is not yet where the events are.
    private const string Began = "SELECT LEAST(clock_timestamp(), (SELECT min(received_at) FROM event_arrivals))";

    private const string Copied = "UPDATE event_store SET copied_until = @began";

    // A batch may be written some time after it got its number.
    private const string First = """
        SELECT COALESCE(floor(extract(epoch FROM copied_until - interval '10 min') * 1000)::bigint << 20, 0) FROM event_store
        """;

    // Each waits until whoever has begun to write where the events are has finished; all others see that they are moving.
    private static readonly string[] Settle =
    [
        "LOCK TABLE event_batches IN SHARE MODE",
        "LOCK TABLE event_arrivals IN SHARE MODE",
        $"SELECT pg_advisory_xact_lock({PostponedEvents.Lock})",
    ];

    // Those that were postponed are taken, and have numbers from before.
    private const string Stay = "UPDATE event_store SET moving_to = NULL, copied_until = NULL";

    // Who was erased since is still in the copy.
    private const string HasErased = """
        SELECT EXISTS (SELECT FROM audit_log a, event_store s WHERE a.action = 'identity.erased' AND a.at >= s.copied_since)
        """;

    // But for those that cannot be read: to compare their experiments says so.
    private const string IsBackfilling = """
        SELECT EXISTS (
            SELECT FROM experiment_metrics l JOIN experiments e ON e.id = l.experiment_id
            WHERE NOT l.backfilled AND e.started_at IS NOT NULL AND e.deleted_at IS NULL AND e.source IS NULL
                AND NOT EXISTS (SELECT FROM unreadable_definitions u WHERE u.experiment_id = e.id))
        """;

    private const string IsWaiting =
        "SELECT EXISTS (SELECT FROM event_batches) OR EXISTS (SELECT FROM event_arrivals WHERE NOT is_postponed)";

    private const string Unfinished = """
        SELECT e.id, e.unit_key <> '' AND EXISTS (
            SELECT FROM audit_log a
            WHERE a.environment_id = e.environment_id AND a.action = 'identity.erased' AND a.at >= e.started_at) AS is_of_erased
        FROM experiments e JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
        WHERE e.started_at IS NOT NULL AND e.deleted_at IS NULL AND e.source IS NULL
            AND (e.ended_at IS NULL OR e.ended_at + e.windows_run_on + @late > clock_timestamp())
        ORDER BY e.id
        """;

    // How often in a row, half a second apart, backfills may come no further: another replica may be at them, or they cannot end.
    private const int IdleRounds = 20;

    private readonly IEventStore _postgres = new PostgresEventStore(source, NullLogger<PostgresEventStore>.Instance);
    private readonly IEventStore _clickHouse = new ClickHouseEventStore(shards);

    /// <summary>Copies the events, and switches if that is asked for.</summary>
    /// <param name="target">The store to move them to.</param>
    /// <param name="switches">Whether the copy is to be what counts.</param>
    /// <param name="ct">Ends it.</param>
    /// <exception cref="InvalidOperationException">They are there already, or an experiment differs.</exception>
    public async Task Run(string target, bool switches, CancellationToken ct)
    {
        await using var turn = await source.OpenConnectionAsync(ct);
        if (!await turn.QuerySingleAsync<bool>(Turn))
        {
            throw new InvalidOperationException("Events are being moved already.");
        }

        await using var connection = await source.OpenConnectionAsync(ct);
        var isCleared = await Clear(connection, ct);
        if (await CurrentEventStore.Read(connection) == target)
        {
            if (isCleared)
            {
                return;
            }

            // Also after a move away that was killed.
            await connection.ExecuteAsync(Stay);
            throw new InvalidOperationException($"The events are in {target} already.");
        }

        await connection.ExecuteAsync(Begin, new { switches, target });
        if (!switches)
        {
            var began = await connection.QuerySingleAsync<DateTime>(Began);
            await Copy(target, connection, ct);
            await connection.ExecuteAsync(Copied, new { began });
            await output.WriteLineAsync($"Copied. Add --switch to count from {target} from then on.");
            return;
        }

        try
        {
            foreach (var statement in Settle)
            {
                await Briefly(statement, connection, ct);
            }

            await Switch(target, connection, ct);
        }
        catch
        {
            // On one that works for sure.
            await using var other = await source.OpenConnectionAsync(CancellationToken.None);
            await other.ExecuteAsync(Stay);
            throw;
        }

        await output.WriteLineAsync($"The events are in {target} now. Start the service with Events__Store={target}.");
        await Clear(connection, ct);
    }

    // Deletes what a move has left behind. If this fails, the events have moved nevertheless.
    private async Task<bool> Clear(NpgsqlConnection connection, CancellationToken ct)
    {
        if (await connection.QuerySingleAsync<string?>(MovedFrom) is not { } left)
        {
            return false;
        }

        try
        {
            await Empty(left, connection, ct);
            await connection.ExecuteAsync(Emptied);
        }
        catch (Exception exception) when (exception is NpgsqlException or EventStoreUnavailableException)
        {
            throw new InvalidOperationException(
                $"The events have moved from {left}, but the old ones could not be deleted there. Run the command again."
                    + $" ({exception.Message})",
                exception
            );
        }

        await output.WriteLineAsync($"The old events in {left} have been deleted.");
        return true;
    }

    // Nobody who sends events waits long for this, whoever else holds what it needs.
    private static async Task Briefly(string statement, NpgsqlConnection connection, CancellationToken ct)
    {
        for (; ; await Task.Delay(TimeSpan.FromSeconds(1), ct))
        {
            await using var transaction = await connection.BeginTransactionAsync(ct);
            try
            {
                await connection.ExecuteAsync($"SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = 0; {statement}");
                await transaction.CommitAsync(ct);
                return;
            }
            catch (PostgresException exception) when (Failure.IsLocked(exception))
            {
                // Its turn comes.
            }
        }
    }

    private async Task Switch(string target, NpgsqlConnection connection, CancellationToken ct)
    {
        var (from, to) = target == EventOptions.ClickHouse ? (_postgres, _clickHouse) : (_clickHouse, _postgres);
        await CountWaiting(from, connection, ct);
        if (await connection.QuerySingleAsync<bool>(HasErased))
        {
            await output.WriteLineAsync("Identities have been erased since the events were copied, so all are copied again.");
            await Empty(target, connection, ct);
        }

        await Copy(target, connection, ct);
        await Compare(to, connection, ct);
        if (!await connection.QuerySingleAsync<bool>(End, new { store = target }))
        {
            throw new InvalidOperationException("Somebody else has ended the move.");
        }
    }

    private async Task<bool> IsEmpty(string store, NpgsqlConnection connection, CancellationToken ct) =>
        store == EventOptions.ClickHouse
            ? await shards.Sum("SELECT toInt64(count()) FROM events", null, ct) == 0
            : await connection.QuerySingleAsync<bool>("SELECT NOT EXISTS (SELECT FROM events)");

    private async Task Copy(string target, NpgsqlConnection connection, CancellationToken ct)
    {
        // One that has nothing, or has been emptied, gets everything.
        var first = await IsEmpty(target, connection, ct) ? 0 : await connection.QuerySingleAsync<long>(First);
        await (
            target == EventOptions.ClickHouse
                ? new CopyToClickHouse(source, shards, first).Run(Tell, ct)
                : new CopyToPostgres(source, shards, new Partitions(database), first).Run(Tell, ct)
        );

        void Tell(DateTime month, long count) => output.WriteLine($"{month:yyyy-MM}: {count:#,0} events");
    }

    private async Task Empty(string store, NpgsqlConnection connection, CancellationToken ct)
    {
        if (store == EventOptions.ClickHouse)
        {
            await shards.Execute("TRUNCATE TABLE events", null, ct);
            await shards.Execute("TRUNCATE TABLE arrivals", null, ct);
        }
        else
        {
            await Briefly("TRUNCATE events, event_ids", connection, ct);
        }
    }

    // The queue is counted before the events leave, and so is what new metrics find, by this or by the service.
    private async Task CountWaiting(IEventStore from, NpgsqlConnection connection, CancellationToken ct)
    {
        var batch = new AggregationBatch(from, source, connection, late);
        for (; await connection.QuerySingleAsync<bool>(IsWaiting); await Task.Delay(500, ct))
        {
            await from.Recover(connection);
            await batch.Run([], null, ct);
        }

        var backfill = new MetricBackfill(new(from, source, connection, late, null));
        for (var idle = 0; idle < IdleRounds && await connection.QuerySingleAsync<bool>(IsBackfilling); await Task.Delay(500, ct))
        {
            idle++;
            var skipped = new HashSet<long>();
            while (await backfill.Page(skipped, [], ct))
            {
                idle = skipped.Count == 0 ? 1 : idle;
            }
        }
    }

    private async Task Compare(IEventStore to, NpgsqlConnection connection, CancellationToken ct)
    {
        var rebuild = new RebuildFromEvents(to, source, late);
        var experiments = (await connection.QueryAsync<(long Id, bool IsOfErased)>(Unfinished, new { late })).AsList();
        foreach (var (id, _) in experiments.Where(one => !one.IsOfErased))
        {
            RebuildReport? found;
            while ((found = await rebuild.Compare(id, ct)) is null)
            {
                // A replica is at work in its environment.
                await Task.Delay(500, ct);
            }

            if (found is not { Exposures: 0, Units: 0 })
            {
                throw new InvalidOperationException(
                    $"Experiment {id} would have {found.Exposures} other exposures and {found.Units} other values. Nothing was switched."
                );
            }
        }

        await output.WriteLineAsync(
            $"Compared {experiments.Count(one => !one.IsOfErased)} unfinished experiments: every identity counts the same."
        );
        if (experiments.Where(one => one.IsOfErased).Select(one => one.Id).ToList() is [_, ..] others)
        {
            await output.WriteLineAsync(
                $"Not compared: {string.Join(", ", others)}. Their counts include what erased identities did, and those events are gone."
            );
        }
    }
}
