using System.Data.Common;
using System.Diagnostics;
using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Warehouse;

/// <summary>
/// Counts an experiment from its warehouse: reads who was assigned and what they did, and corrects what is stored by it, just as a
/// rebuild from events does. So everything that follows is the same wherever the events are.
/// </summary>
internal sealed class WarehouseReader(
    DatabaseServer database,
    WarehouseClient client,
    IOptions<WarehouseOptions> options,
    ILoggerFactory loggers
) : IAsyncDisposable
{
    private const string Source = $"""
        {ExperimentSourceRow.Select}
        WHERE e.id = @experimentId AND pg_try_advisory_xact_lock(hashtextextended('warehouse', e.id))
        """;

    private const string IsAsRead = $"""
        SELECT FROM experiments e
        WHERE e.id = @experimentId AND e.deleted_at IS NULL AND {ExperimentSourceRow.DefinitionHash} = @Definition
        """;

    // Whoever changes it at this moment may wait for what has been written here.
    private const string Briefly = "SET LOCAL lock_timeout = '500ms'";

    private const string Done = """
        INSERT INTO warehouse_reads (experiment_id, as_of, rows, seconds, definition)
        VALUES (@experimentId, @asOf, @rows, @seconds, @Definition)
        ON CONFLICT (experiment_id) DO UPDATE SET as_of = excluded.as_of, rows = excluded.rows, seconds = excluded.seconds, error = NULL,
            error_at = NULL, definition = excluded.definition
        """;

    private readonly Lazy<NpgsqlDataSource> _database = new(() => AggregationWorker.Source(database, loggers));

    /// <summary>Reads an experiment, unless somebody else does or it has not started.</summary>
    /// <exception cref="WarehouseException">The warehouse cannot be read.</exception>
    /// <exception cref="InvalidOperationException">The definition of the experiment or of a metric cannot be read.</exception>
    public async Task Read(long experimentId, CancellationToken ct)
    {
        var clock = Stopwatch.StartNew();
        await using var connection = await _database.Value.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await AggregationLock.Extend(connection);
        if (await connection.QueryFirstOrDefaultAsync<ExperimentSourceRow>(Source, new { experimentId }) is not { } row)
        {
            return;
        }

        var query = row.Query();
        var definitions = new DefinitionReader(_database.Value, connection);
        var (experiments, asOf) = await definitions.Experiments(experimentId, ct);
        var links = await definitions.Links(experiments);
        definitions.DemandReadable();
        if (experiments is not [var experiment])
        {
            // It has not run, so there is nothing to read.
            await Record(0);
            return;
        }

        var windowed = links.Where(link => link.HasWindows).ToList();
        windowed.ForEach(link => link.Mature(asOf));
        var read = new ExperimentRead(client, row, query, experiment, links, asOf, clock, options.Value.MaxRows);
        long expected;
        await using (Heartbeat.Of(connection))
        {
            expected = await read.Count(ct);
        }

        var slices = RebuildWriter.SlicesFor(expected);
        var writer = new RebuildWriter(connection, experiment, links);
        for (var slice = 0; slice < slices; slice++)
        {
            var collector = new UnitCollector(experiment, links);
            await using (Heartbeat.Of(connection))
            {
                await read.Slice(collector, writer.Counts, slice, slices, ct);
            }

            if (!await IsStillAsRead(""))
            {
                return;
            }

            await writer.Write(collector, slice, slices, ct);
        }

        // From here on, to change it waits.
        await connection.ExecuteAsync(Briefly);
        if (!await IsStillAsRead("FOR SHARE"))
        {
            return;
        }

        await AggregationLock.Extend(connection);
        await writer.Finish(invalidates: false);
        await MetricMaturity.Record(connection, experiment.Timeline, windowed);
        await Record(read.Rows);

        async Task Record(long rows)
        {
            await connection.ExecuteAsync(
                Done,
                new
                {
                    experimentId,
                    asOf,
                    rows,
                    seconds = clock.Elapsed.TotalSeconds,
                    row.Definition,
                }
            );
            await transaction.CommitAsync(ct);
        }

        // What was reset or corrected in the meantime is not what was read.
        async Task<bool> IsStillAsRead(string locking)
        {
            try
            {
                return await connection.QuerySingleAsync<bool>(
                    $"SELECT EXISTS ({IsAsRead} {locking})",
                    new { experimentId, row.Definition }
                );
            }
            catch (PostgresException exception) when (Failure.IsLocked(exception))
            {
                return false;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_database.IsValueCreated)
        {
            await _database.Value.DisposeAsync();
        }
    }

    // What one read of an experiment asks its warehouse.
    private sealed class ExperimentRead(
        WarehouseClient client,
        ExperimentSourceRow row,
        WarehouseQuery query,
        ExperimentDefinition experiment,
        IReadOnlyList<MetricLink> links,
        DateTime asOf,
        Stopwatch clock,
        long most
    )
    {
        /// <summary>How many rows have been read so far.</summary>
        public long Rows { get; private set; }

        // Received now, so that what lies before the start is told from what never was of the experiment.
        private readonly long _batch = BatchId.LastOf(asOf);

        private DateTime Begin => experiment.Timeline.Runs[0].From;

        private DateTime Until => experiment.Timeline.WindowsCloseAt is { } closed && closed < asOf ? closed : asOf;

        public async Task<long> Count(CancellationToken ct)
        {
            var count = 0L;
            await Read(query.CountAssignments, Exposures, Add, ct);
            await Read(query.CountEvents, Events, Add, ct);
            Rows = 0;
            Limit(count);
            return count;

            void Add(DbDataReader one) => count += Convert.ToInt64(one.GetValue(0), null);
        }

        public async Task Slice(UnitCollector collector, ExposureCountsDelta counts, int slice, int slices, CancellationToken ct)
        {
            await Read(
                query.Assignments,
                Sliced(Exposures),
                one =>
                    collector.Add(
                        StoredEvent.OfWarehouse(
                            experiment,
                            _batch,
                            (Identifier(one), At(one), 0),
                            experiment.ExposureEvent,
                            Text(one, 2),
                            traits: JsonText.Object(Text(one, 3))
                        ),
                        counts
                    ),
                ct
            );
            var keys = new WarehouseEventKeys(experiment.EnvironmentId);
            await Read(
                query.Events,
                Sliced(Events),
                one =>
                {
                    if (Identifier(one) is { } who && Text(one, 2) is { } name)
                    {
                        var (at, value, metadata) = (At(one), Text(one, 3), JsonText.Object(Text(one, 4)));
                        var key = keys.Of(who, at, name, value, metadata);
                        collector.Add(StoredEvent.OfWarehouse(experiment, _batch, (who, at, key), name, value, metadata: metadata), counts);
                    }
                },
                ct
            );

            Dictionary<string, object> Sliced(Dictionary<string, object> parameters) =>
                new(parameters) { [WarehouseQuery.Slice] = (long)slice, [WarehouseQuery.Slices] = (long)slices };
        }

        // Assignments from just before the start are reported too.
        private Dictionary<string, object> Exposures => query.Parameters(Milliseconds(Begin - Timeline.Slow), Milliseconds(Until) + 1);

        private Dictionary<string, object> Events =>
            new(
                query.Parameters(Milliseconds(links.Select(link => link.From).Append(Begin - Timeline.Slow).Min()), Milliseconds(Until) + 1)
            )
            {
                [WarehouseQuery.Names] = links.SelectMany(link => link.Events).Distinct().ToArray(),
            };

        private Task Read(string sql, Dictionary<string, object> parameters, Action<DbDataReader> take, CancellationToken ct)
        {
            return client.Limit - clock.Elapsed is var left && left > TimeSpan.Zero
                ? client.Read(row, sql, parameters, Counted, left, ct)
                : throw new WarehouseException($"The read took longer than {client.Limit.TotalSeconds:0} s.");

            void Counted(DbDataReader one)
            {
                Limit(++Rows);
                take(one);
            }
        }

        // Also while they come, since they may be more than were counted.
        private void Limit(long rows)
        {
            if (rows > most)
            {
                throw new WarehouseException(
                    $"The experiment has more rows in the warehouse than Warehouse:MaxRows allows ({rows:#,0} of {most:#,0})."
                );
            }
        }

        private static long Milliseconds(DateTime at) => (at - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMillisecond;

        private static DateTime At(DbDataReader row) =>
            row.IsDBNull(1)
                ? throw new WarehouseException("A row has no instant: the column 'at' may not be empty.")
                : DateTime.UnixEpoch.AddMilliseconds(Convert.ToInt64(row.GetValue(1), null));

        // What could not be stored identifies nobody.
        private static string? Identifier(DbDataReader row) =>
            Text(row, 0) is { Length: > 0 } text && Identity.Fault(text) is null ? text : null;

        private static string? Text(DbDataReader row, int index) => row.IsDBNull(index) ? null : row.GetValue(index) as string;
    }
}
