using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Computes everything that is derived for an experiment from the events themselves, as if nothing had been aggregated, and corrects what
/// differs: exposures, what is measured of each identity, and the sums. Memory bounds how many identities are looked at in one go;
/// where they do not fit, the events are read several times.
/// </summary>
internal sealed class RebuildFromEvents(NpgsqlDataSource source, TimeSpan late)
{
    // About what an event takes while its identity is looked at, and what one takes in the database at least.
    private const int BytesInMemory = 150;
    private const int BytesInTable = 100;

    private const int Chunk = 20_000;

    private const string Size = """
        SELECT COALESCE(sum(pg_relation_size(partition::regclass)), 0)::bigint
        FROM event_partitions WHERE begins + interval '1 month' > @from
        """;

    private const string Pending = "SELECT id, from_at FROM event_batches WHERE environment_id = @environment";

    private const string Events = $"""
        SELECT {StoredEvent.ColumnsWithTraits}
        FROM events
        WHERE environment_id = $1 AND event = ANY ($2) AND at BETWEEN $3 AND $4
          AND ($5 = 1 OR CASE WHEN identifier <> '' THEN get_byte(sha256(convert_to(identifier, 'UTF8')), 0) * $5 / 256 ELSE 0 END = $6)
        """;

    private const string Exposed = """
        SELECT identity, own, seen, seen_at, first_shown, enrolled_at, paused_at, before_at, counts_in, draw
        FROM exposures WHERE experiment_id = $1 AND identity BETWEEN $2 AND $3
        """;

    private const string Units =
        "SELECT experiment_id, identity, arm, numbers, events FROM unit_metrics WHERE experiment_id = $1 AND identity BETWEEN $2 AND $3";

    private const string Clear = """
        DELETE FROM exposure_counts WHERE experiment_id = @Id;
        DELETE FROM metric_sums WHERE link_id = ANY (@links);
        DELETE FROM metric_steps WHERE link_id = ANY (@links);
        UPDATE experiment_metrics SET backfilled = true WHERE id = ANY (@links);
        """;

    /// <summary>Rebuilds the experiment. Null when a replica is aggregating at the moment.</summary>
    /// <exception cref="InvalidOperationException">There is no such experiment, or some of its events are gone.</exception>
    public async Task<Report?> Run(long experimentId, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await AggregationBatch.BeginRebuild(connection))
        {
            return null;
        }

        var batch = new AggregationBatch(source, connection, late);
        var (experiments, highWaterMark) = await batch.Experiments(experimentId, ct);
        if (experiments is not [var experiment])
        {
            return new(0, 0, 0);
        }

        var links = await batch.Links(experiments);
        var from = links.Select(link => link.From).Append(experiment.Timeline.Runs[0].From.AddMilliseconds(-1)).Min();
        await Demand(connection, from);
        // Exposures from just before the start are reported too, as far as their partitions are still there.
        var justBefore = experiment.Timeline.Runs[0].From - Timeline.Slow;
        from = from < justBefore ? from : justBefore;

        // One snapshot, in which no batch is half there.
        await using var reading = await source.OpenConnectionAsync(ct);
        await using var snapshot = await reading.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, ct);
        // It holds a snapshot and no lock while the other one writes.
        await reading.ExecuteAsync("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '10min'");
        var pending = (
            await reading.QueryAsync<(long Id, DateTime From)>(Pending, new { environment = experiment.EnvironmentId })
        ).ToDictionary(batch => batch.Id, batch => batch.From);
        var bytes = await reading.QuerySingleAsync<long>(Size, new { from });
        var slices =
            (int)Math.Clamp(bytes / BytesInTable * BytesInMemory / (GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4), 0, 255) + 1;

        var (counts, delta) = (new ExposureCounts(), new MetricSumsDelta());
        var report = new Report(0, 0, 0);
        for (var slice = 0; slice < slices; slice++)
        {
            var identities = new RebuiltUnits(experiment, links);
            await using (Heartbeat.Of(connection))
            {
                await StoredEvent.Each(
                    reading,
                    Events,
                    raw =>
                    {
                        // Events in the queue have not been aggregated yet, and will be.
                        if (
                            (!pending.TryGetValue(raw.Batch, out var waits) || raw.At < waits)
                            && !experiment.WasFinal(BatchId.ReceivedAt(raw.Batch), late)
                        )
                        {
                            identities.Take(raw, counts);
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
                    new NpgsqlParameter<string[]> { TypedValue = ExperimentDefinition.EventsWithTraits(experiments) }
                );
                identities.Settle(counts, delta);
            }

            var range = (First(slice, slices), Last(slice, slices));
            var exposures = await CorrectExposures(connection, experiment.Id, identities, range, ct);
            var units = await CorrectUnits(connection, experiment.Id, identities, range, ct);
            report = new(report.Identities + identities.Count, report.Exposures + exposures, report.Units + units);
        }

        await connection.ExecuteAsync(Clear, new { experiment.Id, links = links.Select(link => link.Id).ToArray() });
        await counts.Post(connection);
        await delta.Post(connection);
        await transaction.CommitAsync(ct);
        return report;
    }

    // What retention has dropped cannot be counted again, so what was counted of it must stay.
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
        RebuiltUnits identities,
        (Guid First, Guid Last) range,
        CancellationToken ct
    )
    {
        var surplus = new List<Guid>();
        await using (var command = Stored(connection, Exposed, experimentId, range))
        await using (var row = await command.ExecuteReaderAsync(ct))
        {
            while (await row.ReadAsync(ct))
            {
                if (
                    !identities.Matches(
                        row.GetGuid(0),
                        ExposureAggregator.Shown(row, 1),
                        ExposureAggregator.CountsIn(row, 8),
                        ExposureAggregator.Draw(row, 9)
                    )
                )
                {
                    surplus.Add(row.GetGuid(0));
                }
            }
        }

        await Delete(connection, "exposures", experimentId, surplus);
        var differing = identities.UnmatchedExposures().ToList();
        foreach (var chunk in differing.Chunk(Chunk))
        {
            await ExposureAggregator.Write(connection, chunk);
        }

        return differing.Count + surplus.Count;
    }

    private static async Task<long> CorrectUnits(
        NpgsqlConnection connection,
        long experimentId,
        RebuiltUnits identities,
        (Guid First, Guid Last) range,
        CancellationToken ct
    )
    {
        var surplus = new List<Guid>();
        await using (var command = Stored(connection, Units, experimentId, range))
        await using (var row = await command.ExecuteReaderAsync(ct))
        {
            while (await row.ReadAsync(ct))
            {
                if (UnitMetrics.Of(row) is var unit && !identities.Matches(unit))
                {
                    surplus.Add(unit.Key.Identity);
                }
            }
        }

        await Delete(connection, "unit_metrics", experimentId, surplus);
        var differing = 0L;
        foreach (var chunk in identities.UnmatchedUnits().Chunk(Chunk))
        {
            await UnitMetrics.Write(connection, chunk);
            differing += chunk.Length;
        }

        return differing + surplus.Count;
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

    /// <summary>
    /// How many identities there are, and of how many the exposures, and what is measured, were not what they should have been.
    /// </summary>
    internal sealed record Report(long Identities, long Exposures, long Units);
}
