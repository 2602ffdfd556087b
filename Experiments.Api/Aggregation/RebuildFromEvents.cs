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
    // The minimum size of an event in the database.
    private const int BytesInTable = 100;

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

    /// <summary>Rebuilds the experiment. Returns null if a replica is aggregating at the moment.</summary>
    /// <exception cref="InvalidOperationException">There is no such experiment, or some of its events are gone.</exception>
    public async Task<RebuildReport?> Run(long experimentId, CancellationToken ct)
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
            return RebuildReport.Nothing;
        }

        if (experiment.IsOfWarehouse)
        {
            throw new InvalidOperationException(
                $"Experiment {experimentId} is counted from a warehouse, not from events. Refresh its results instead. Nothing was changed."
            );
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
        var slices = RebuildWriter.SlicesFor(bytes / BytesInTable);

        var lastBatch = experiment.LastBatch(late);
        var aliases = experiment.UnitKey is null ? await new IdentityAliases(reading).All(experiment.EnvironmentId, lastBatch) : [];
        var writer = new RebuildWriter(connection, experiment, links);
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
                            collector.Add(raw, writer.Counts);
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

            await writer.Write(collector, slice, slices, ct);
        }

        await writer.Finish(invalidates: true);
        await transaction.CommitAsync(ct);
        return writer.Report;
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
}
