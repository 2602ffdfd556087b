using Dapper;
using Experiments.Api.Domain;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Recomputes every value and every sum of an experiment from the stored exposures and unit events, and corrects what differs. It reads
/// one row per identity, so it is much faster than <see cref="RebuildFromEvents"/>, which starts from the raw events.
/// </summary>
internal sealed class RebuildFromUnits(NpgsqlDataSource source)
{
    private const int Chunk = 20_000;

    private const string Identities = """
        SELECT COALESCE(m.experiment_id, x.experiment_id), COALESCE(m.identity, x.identity), m.arm, COALESCE(m.numbers, '{}'), m.due_after,
            COALESCE(m.events, ''),
               x.assigned_variants, x.shown_variants, x.seen_at, x.first_shown, x.enrolled_at, x.paused_at, x.before_at,
               x.levels::text, m.identity IS NOT NULL
        FROM (SELECT * FROM unit_metrics WHERE experiment_id = $1) m
        FULL JOIN (SELECT * FROM exposures WHERE experiment_id = $1) x ON x.identity = m.identity
        """;

    private const string Clear = """
        DELETE FROM exposure_counts WHERE experiment_id = @experimentId AND outcome <> @NoIdentifier;
        DELETE FROM metric_sums WHERE link_id = ANY (@links);
        DELETE FROM metric_steps WHERE link_id = ANY (@links);
        INSERT INTO results AS r (experiment_id, epoch) VALUES (@experimentId, 1)
        ON CONFLICT (experiment_id) DO UPDATE SET as_of = NULL, evidence = NULL, looked_at = NULL, epoch = r.epoch + 1,
            erased = 0;
        """;

    /// <summary>Rebuilds the sums. Returns null if a replica is aggregating at the moment.</summary>
    /// <exception cref="InvalidOperationException">There is no such experiment.</exception>
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
        var (experiments, _) = await definitions.Experiments(experimentId, ct);
        var links = await definitions.Links(experiments);
        definitions.DemandReadable();
        if (experiments is not [var experiment])
        {
            return new(0, 0);
        }

        var (values, counts, delta) = (new UnitValues(experiment, links), new ExposureCountsDelta(), new MetricSumsDelta());
        var differing = new List<UnitMetrics>();
        var identities = 0L;
        await using (
            var command = new NpgsqlCommand(Identities, connection)
            {
                Parameters = { new NpgsqlParameter<long> { TypedValue = experimentId } },
            }
        )
        await using (var row = await command.ExecuteReaderAsync(ct))
        {
            while (await row.ReadAsync(ct))
            {
                identities++;
                var (stored, exposures) = (UnitMetrics.Of(row), Shown(row));
                if (exposures is { } shown)
                {
                    counts.Add(experiment, shown, 1);
                }

                if (!row.GetBoolean(14))
                {
                    continue;
                }

                var now = values.Values(UnitEventHistory.Of(stored.Events), exposures);
                values.Post(delta, UnitValues.None, now);
                if (values.Post(new(), stored.Values, now))
                {
                    differing.Add(UnitMetrics.Of(stored.Key, now, stored.Events));
                }
            }
        }

        foreach (var chunk in differing.Chunk(Chunk))
        {
            await UnitMetrics.Write(connection, chunk);
        }

        await connection.ExecuteAsync(
            Clear,
            new
            {
                experimentId,
                ExposureState.NoIdentifier,
                links = links.Select(link => link.Id).ToArray(),
            }
        );
        await counts.Post(connection);
        await delta.Post(connection);
        await transaction.CommitAsync(ct);
        return new(identities, differing.Count);
    }

    private static ExposureState? Shown(NpgsqlDataReader row) => row.IsDBNull(6) ? null : ExposureAggregator.Shown(row, 6);

    /// <summary>The number of identities, and for how many of them the values had to be corrected.</summary>
    internal sealed record Report(long Identities, long Differing);
}
