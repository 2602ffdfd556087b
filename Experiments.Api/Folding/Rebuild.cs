using Dapper;
using Npgsql;

namespace Experiments.Api.Folding;

/// <summary>
/// Computes the metrics of an experiment from the events themselves: for a metric that has just been taken up, whose events had come
/// before, and for whoever wants to see that the sums are what they should be. Events that are missing are taken up, every identity's
/// value is computed, and the sums are made of the values.
/// </summary>
internal sealed class Rebuild(NpgsqlDataSource source, TimeSpan late)
{
    private const int Size = 20_000;

    private const string Due =
        """
        SELECT l.experiment_id
        FROM experiment_metrics l
        JOIN experiments e ON e.id = l.experiment_id
        WHERE NOT l.folded AND e.started_at IS NOT NULL AND e.deleted_at IS NULL
        ORDER BY l.id
        LIMIT 1
        """;

    private const string Links =
        """
        SELECT id, experiment_id, aggregation, definition::text AS definition, folded
        FROM experiment_metrics WHERE experiment_id = @id
        """;

    // From the values themselves, whatever was added up before.
    private const string SumUp =
        """
        DELETE FROM metric_steps WHERE link_id = ANY (@ids);
        DELETE FROM metric_sums WHERE link_id = ANY (@ids);
        INSERT INTO metric_steps (link_id, arm, step, count)
            SELECT link_id, arm, steps, count(*) FROM metric_values WHERE link_id = ANY (@ids) AND steps > 0 GROUP BY 1, 2, 3;
        INSERT INTO metric_sums (link_id, arm, y, yy, d, dd, yd, x, xx, yx)
            SELECT link_id, arm, sum(y), sum(y * y), sum(d), sum(d * d), sum(y * d), sum(x), sum(x * x), sum(y * x)
            FROM (SELECT link_id, arm, y::numeric, d::numeric, x::numeric FROM metric_values WHERE link_id = ANY (@ids)) v GROUP BY 1, 2;
        """;

    private const string Events =
        """
        SELECT batch, environment_id, at, key, event, identifier, left(value, 1000) AS value, metadata::text AS metadata
        FROM events
        WHERE environment_id = @environment AND event = ANY (@events) AND at BETWEEN @from AND @horizon AND identifier <> ''
        """;

    /// <summary>Takes up the metrics that have not been yet, experiment by experiment.</summary>
    public async Task TakeUp(CancellationToken ct)
    {
        while (await Next(ct) is { } experimentId && await Run(experimentId, all: false, ct))
        {
            // One after the other.
        }
    }

    /// <summary>Computes the metrics of an experiment anew: all, or those that were not taken up. False when another replica is folding.</summary>
    public async Task<bool> Run(long experimentId, bool all, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await Pass.Begin(connection))
        {
            return false;
        }

        // As long as there are events.
        await connection.ExecuteAsync("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0");
        var (experiments, horizon) = await new Pass(source, connection, late).Experiments(experimentId, ct);
        var rows = (await connection.QueryAsync<Row>(Links, new { id = experimentId })).AsList();
        var ids = rows.Where(row => all || !row.Folded).Select(row => row.Id).ToArray();
        if (experiments is [var experiment])
        {
            // All of them together say who keeps whose events.
            var links = MetricLink.Of(rows.Select(row => new MetricLink.Row(row.Id, row.ExperimentId, row.Aggregation, row.Definition)), _ => experiment)
                .Where(link => ids.Contains(link.Id)).ToList();
            await Demand(connection, links);
            await Keep(connection, links, horizon, ct);
            await Value(connection, links, experimentId);
            await connection.ExecuteAsync(SumUp, new { ids });
        }

        await connection.ExecuteAsync("UPDATE experiment_metrics SET folded = true WHERE id = ANY (@ids)", new { ids });
        await transaction.CommitAsync(ct);
        return true;
    }

    // What retention has dropped cannot be counted again, so what was counted of it must stay.
    private static async Task Demand(NpgsqlConnection connection, List<MetricLink> links)
    {
        var oldest = await connection.QuerySingleAsync<DateTime?>("SELECT min(begins) FROM event_partitions");
        var counted = await connection.QuerySingleAsync<bool>("SELECT EXISTS (SELECT FROM metric_sums WHERE link_id = ANY (@ids))", new { ids = links.Select(link => link.Id).ToArray() });
        if (counted && links.Count > 0 && links.Min(link => link.From) < oldest)
        {
            throw new InvalidOperationException($"Events before {oldest:yyyy-MM-dd} are gone, so the metrics cannot be computed anew. They stay as they are.");
        }
    }

    private sealed record Row(long Id, long ExperimentId, string Aggregation, string Definition, bool Folded);

    private async Task<long?> Next(CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        return await connection.QueryFirstOrDefaultAsync<long?>(Due);
    }

    // Row by row from one connection, into the transaction of the other.
    private async Task Keep(NpgsqlConnection connection, List<MetricLink> links, DateTime horizon, CancellationToken ct)
    {
        if (links.Count == 0)
        {
            return;
        }

        await using var reading = await source.OpenConnectionAsync(ct);
        await using var snapshot = await reading.BeginTransactionAsync(ct);
        await reading.ExecuteAsync("SET LOCAL statement_timeout = 0");
        var fold = new MetricFold(connection, links);
        var taken = 0;
        var events = reading.QueryUnbufferedAsync<StoredEvent>(Events, new
        {
            environment = links[0].Experiment.EnvironmentId,
            events = links.SelectMany(link => link.Events).Distinct().ToArray(),
            from = links.Min(link => link.From),
            horizon,
        });
        await foreach (var raw in events.WithCancellation(ct))
        {
            fold.Take(raw, _ => true);
            if (++taken % Size == 0)
            {
                await fold.StoreOnly();
            }
        }

        await fold.StoreOnly();
    }

    private static async Task Value(NpgsqlConnection connection, List<MetricLink> links, long experimentId)
    {
        for (var last = Guid.Empty; ;)
        {
            var identities = (await connection.QueryAsync<Guid>(
                "SELECT identity FROM exposures WHERE experiment_id = @experimentId AND identity > @last ORDER BY identity LIMIT @Size", new { experimentId, last, Size })).AsList();
            if (identities.Count == 0)
            {
                return;
            }

            var fold = new MetricFold(connection, links);
            identities.ForEach(identity => fold.Touch(experimentId, identity));
            await fold.Fold();
            last = identities[^1];
        }
    }
}
