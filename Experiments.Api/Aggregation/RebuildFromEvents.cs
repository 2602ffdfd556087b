using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Recomputes all derived data of an experiment from the raw events and corrects what differs: exposures, unit metrics and sums. Memory
/// limits how many identities are processed in one pass. If they do not fit, the events are read several times.
/// </summary>
internal sealed class RebuildFromEvents(NpgsqlDataSource source, TimeSpan late)
{
    // The approximate size of an event in memory while its identity is processed, and its minimum size in the database.
    private const int BytesInMemory = 150;
    private const int BytesInTable = 100;

    private const int Chunk = 20_000;

    private const string Size = """
        SELECT COALESCE(sum(pg_relation_size(partition::regclass)), 0)::bigint
        FROM event_partitions WHERE begins + interval '1 month' > @from
        """;

    private const string Pending = "SELECT id FROM event_batches WHERE environment_id = @environment";

    private const string Events = $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE environment_id = $4 AND event = ANY ($5) AND happened_at BETWEEN $6 AND $7
          AND at BETWEEN $6 - {ClockSkew.Slack} AND $7 + {ClockSkew.Slack}
          AND ($8 = 1 OR COALESCE(get_byte(sha256(convert_to(COALESCE(
              CASE WHEN $3 IS NOT NULL THEN (({StoredEvent.Person}))[1] END,
              unit_of($10, identifier, traits, metadata)), 'UTF8')), 0) * $8 / 256, 0) = $9)
        """;

    private const string Exposures = """
        SELECT identity, assigned_variants, shown_variants, seen_at, first_shown, enrolled_at, paused_at, before_at, levels::text,
            counts_in, draw
        FROM exposures WHERE experiment_id = $1 AND identity BETWEEN $2 AND $3
        """;

    private const string Metrics =
        "SELECT experiment_id, identity, arm, numbers, due_after, events FROM unit_metrics WHERE experiment_id = $1 AND identity BETWEEN $2"
        + " AND $3";

    private const string Clear = """
        DELETE FROM exposure_counts WHERE experiment_id = @Id;
        DELETE FROM metric_sums WHERE link_id = ANY (@links);
        DELETE FROM metric_steps WHERE link_id = ANY (@links);
        UPDATE experiment_metrics SET backfilled = true WHERE id = ANY (@links);
        DELETE FROM unreadable_definitions WHERE experiment_id = @Id;
        -- So that results are computed again, even final ones.
        INSERT INTO results AS r (experiment_id, epoch) VALUES (@Id, 1)
        ON CONFLICT (experiment_id) DO UPDATE SET as_of = NULL, evidence = NULL, looked_at = NULL, epoch = r.epoch + 1,
            erased = 0;
        """;

    /// <summary>Rebuilds the experiment. Returns null if a replica is aggregating at the moment.</summary>
    /// <exception cref="InvalidOperationException">There is no such experiment, or some of its events are gone.</exception>
    public async Task<Report?> Run(long experimentId, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AggregationLock.Take(connection, experimentId))
        {
            return null;
        }

        await AggregationLock.Extend(connection);

        var definitions = new DefinitionReader(source, connection);
        var (experiments, highWaterMark) = await definitions.Experiments(experimentId, ct);
        var links = await definitions.Links(experiments);
        definitions.DemandReadable();
        if (experiments is not [var experiment])
        {
            return new(0, 0, 0);
        }

        var from = links.Select(link => link.From).Append(experiment.Timeline.Runs[0].From.AddMilliseconds(-1)).Min();
        await Demand(connection, from);
        // Exposures from just before the start are reported too, if their partitions still exist.
        var justBefore = experiment.Timeline.Runs[0].From - Timeline.Slow;
        from = from < justBefore ? from : justBefore;

        // A single snapshot, in which every batch is either complete or absent.
        await using var reading = await source.OpenConnectionAsync(ct);
        await using var snapshot = await reading.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, ct);
        // This transaction holds only a snapshot, and no lock, while the other one writes.
        await reading.ExecuteAsync("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '10min'");
        var pending = (await reading.QueryAsync<long>(Pending, new { environment = experiment.EnvironmentId })).ToHashSet();
        var bytes = await reading.QuerySingleAsync<long>(Size, new { from });
        var slices =
            (int)Math.Clamp(bytes / BytesInTable * BytesInMemory / (GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4), 0, 255) + 1;

        var lastBatch = experiment.LastBatch(late);
        var aliases = experiment.UnitKey is null ? await new IdentityAliases(reading).All(experiment.EnvironmentId, lastBatch) : [];
        var (counts, delta) = (new ExposureCountsDelta(), new MetricSumsDelta());
        var report = new Report(0, 0, 0);
        for (var slice = 0; slice < slices; slice++)
        {
            var collector = new UnitCollector(experiment, links);
            await using (Heartbeat.Of(connection))
            {
                await StoredEvent.Each(
                    reading,
                    Events,
                    StoredEvent.Needs.Of(experiments, aliases.Count == 0 ? null : lastBatch),
                    raw =>
                    {
                        // Queued events are skipped: they will be aggregated later.
                        if (!pending.Contains(raw.Batch) && !experiment.WasFinal(BatchId.ReceivedAt(raw.Batch), late))
                        {
                            collector.Add(raw, counts);
                        }
                    },
                    ct,
                    new NpgsqlParameter<long> { TypedValue = experiment.EnvironmentId },
                    new NpgsqlParameter<string[]>
                    {
                        TypedValue = [.. links.SelectMany(link => link.Events).Append(experiment.ExposureEvent).Distinct()],
                    },
                    new NpgsqlParameter<DateTime> { TypedValue = from },
                    new NpgsqlParameter<DateTime> { TypedValue = highWaterMark },
                    new NpgsqlParameter<int> { TypedValue = slices },
                    new NpgsqlParameter<int> { TypedValue = slice },
                    new NpgsqlParameter<string> { TypedValue = experiment.UnitKey ?? "" }
                );
            }

            foreach (var alias in aliases)
            {
                collector.AddAlias(alias.KnownAs, alias.Identifier);
            }

            var units = collector.Build();
            units.AddTo(counts, delta);

            var range = (First(slice, slices), Last(slice, slices));
            report += new Report(
                units.Count,
                await CorrectExposures(connection, experiment.Id, units, range, ct),
                await CorrectMetrics(connection, experiment.Id, units, range, ct)
            );
        }

        await connection.ExecuteAsync(Clear, new { experiment.Id, links = links.Select(link => link.Id).ToArray() });
        await counts.Post(connection);
        await delta.Post(connection);
        await transaction.CommitAsync(ct);
        return report;
    }

    // Dropped events cannot be counted again, so the counts derived from them must be kept.
    private static async Task Demand(NpgsqlConnection connection, DateTime from)
    {
        var oldest = await connection.QuerySingleAsync<DateTime?>("SELECT min(begins) FROM event_partitions");
        if (from < oldest)
        {
            throw new InvalidOperationException(
                $"Events before {oldest:yyyy-MM-dd} have been dropped, so the experiment can't be rebuilt from events. Nothing was changed."
            );
        }
    }

    private static async Task<long> CorrectExposures(
        NpgsqlConnection connection,
        long experimentId,
        RebuiltUnits units,
        (Guid First, Guid Last) range,
        CancellationToken ct
    )
    {
        var rows = new Reconciliation<ExposureAggregator.Changed>(units, units.Exposure);
        await using (var command = Stored(connection, Exposures, experimentId, range))
        await using (var row = await command.ExecuteReaderAsync(ct))
        {
            while (await row.ReadAsync(ct))
            {
                var (state, countsIn) = (ExposureAggregator.Shown(row, 1), ExposureAggregator.CountsIn(row, 9));
                var draw = ExposureAggregator.Draw(row, 10);
                rows.Compare(row.GetGuid(0), expected => (expected.State, expected.CountsIn, expected.Draw) == (state, countsIn, draw));
            }
        }

        await Delete(connection, "exposures", experimentId, rows.Surplus);
        return rows.Surplus.Count + await Write(rows.Differing, chunk => ExposureAggregator.Write(connection, chunk));
    }

    private static async Task<long> CorrectMetrics(
        NpgsqlConnection connection,
        long experimentId,
        RebuiltUnits units,
        (Guid First, Guid Last) range,
        CancellationToken ct
    )
    {
        var rows = new Reconciliation<UnitMetrics>(units, units.Metrics);
        await using (var command = Stored(connection, Metrics, experimentId, range))
        await using (var row = await command.ExecuteReaderAsync(ct))
        {
            while (await row.ReadAsync(ct))
            {
                var stored = UnitMetrics.Of(row);
                rows.Compare(stored.Key.Identity, expected => units.AreSame(stored, expected));
            }
        }

        await Delete(connection, "unit_metrics", experimentId, rows.Surplus);
        return rows.Surplus.Count + await Write(rows.Differing, chunk => UnitMetrics.Write(connection, chunk));
    }

    // Returns the number of rows written.
    private static async Task<long> Write<TRow>(IEnumerable<TRow> rows, Func<TRow[], Task> write)
    {
        var written = 0L;
        foreach (var chunk in rows.Chunk(Chunk))
        {
            await write(chunk);
            written += chunk.Length;
        }

        return written;
    }

    private static NpgsqlCommand Stored(NpgsqlConnection connection, string sql, long experimentId, (Guid First, Guid Last) range) =>
        new(sql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<long> { TypedValue = experimentId },
                new NpgsqlParameter<Guid> { TypedValue = range.First },
                new NpgsqlParameter<Guid> { TypedValue = range.Last },
            },
        };

    private static Task Delete(NpgsqlConnection connection, string table, long experimentId, List<Guid> identities) =>
        identities.Count == 0
            ? Task.CompletedTask
            : connection.ExecuteAsync(
                $"DELETE FROM {table} WHERE experiment_id = @experimentId AND identity = ANY (@identities)",
                new { experimentId, identities }
            );

    // The identities whose first byte, of 256, falls into this slice.
    private static Guid First(int slice, int slices) => Bound((byte)(((slice * 256) + slices - 1) / slices), 0);

    private static Guid Last(int slice, int slices) => Bound((byte)(((((slice + 1) * 256) + slices - 1) / slices) - 1), 255);

    private static Guid Bound(byte first, byte others)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Fill(others);
        bytes[0] = first;
        return new(bytes, bigEndian: true);
    }

    /// <summary>The number of identities, and for how many of them the exposures and the unit metrics had to be corrected.</summary>
    internal sealed record Report(long Identities, long Exposures, long Units)
    {
        public static Report operator +(Report one, Report other) =>
            new(one.Identities + other.Identities, one.Exposures + other.Exposures, one.Units + other.Units);
    }
}
