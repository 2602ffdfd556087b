using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Events;
using Npgsql;

namespace Experiments.Api.Folding;

/// <summary>
/// Takes the events that had come before a metric was there into what is measured, a page at a time in the order of their instants, so
/// that folding goes on between the pages and a stop loses nothing. What comes meanwhile is folded as ever; that an event is seen
/// twice does no harm.
/// </summary>
internal sealed class TakeUp(NpgsqlDataSource source, NpgsqlConnection connection, TimeSpan late)
{
    private const string Due =
        """
        SELECT l.experiment_id
        FROM experiment_metrics l
        JOIN experiments e ON e.id = l.experiment_id
        WHERE NOT l.folded AND e.started_at IS NOT NULL AND e.deleted_at IS NULL
        ORDER BY l.id
        LIMIT 1
        """;

    private const string Cursor =
        """
        SELECT array_agg(id) AS links, bool_or(taken_up_to IS NULL) AS is_new, min(taken_up_to) AS at,
               (array_agg(taken_up_key ORDER BY taken_up_to, taken_up_key))[1] AS key
        FROM experiment_metrics WHERE experiment_id = @experimentId AND NOT folded
        """;

    private const string Events =
        $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE environment_id = $1 AND event = ANY ($2) AND at BETWEEN $3 AND $4 AND (at, key) > ($3, $5)
        ORDER BY at, key
        LIMIT $6
        """;

    private const string Move = "UPDATE experiment_metrics SET taken_up_to = @at, taken_up_key = @key, folded = @isDone WHERE id = ANY (@links)";

    /// <summary>Takes up a page. False when there was none to take up, null when another replica is folding.</summary>
    public async Task<bool?> Page(CancellationToken ct)
    {
        if (await connection.QueryFirstOrDefaultAsync<long?>(Due) is not { } experimentId)
        {
            return false;
        }

        await using var transaction = await connection.BeginTransactionAsync(ct);
        if (!await Pass.Begin(connection))
        {
            return null;
        }

        var pass = new Pass(source, connection, late);
        var (experiments, horizon) = await pass.Experiments(experimentId, ct);
        var links = await pass.Links(experiments);
        var cursor = await connection.QuerySingleAsync<CursorRow>(Cursor, new { experimentId });
        var (at, key) = (horizon, long.MaxValue);
        var isDone = true;
        if (links.Count > 0 && cursor.Links is { Length: > 0 })
        {
            var fresh = links.Where(link => cursor.Links.Contains(link.Id)).ToList();
            var page = await StoredEvent.Read(
                connection,
                Events,
                new NpgsqlParameter<long> { TypedValue = experiments[0].EnvironmentId },
                new NpgsqlParameter<string[]> { TypedValue = [.. fresh.SelectMany(link => link.Events).Distinct()] },
                new NpgsqlParameter<DateTime> { TypedValue = cursor.IsNew ? fresh.Min(link => link.From) : cursor.At!.Value },
                new NpgsqlParameter<DateTime> { TypedValue = horizon },
                new NpgsqlParameter<long> { TypedValue = cursor.IsNew ? long.MinValue : cursor.Key!.Value },
                new NpgsqlParameter<int> { TypedValue = Pass.Size });
            var fold = new MetricFold(connection, links);
            foreach (var stored in page.Where(stored => !string.IsNullOrEmpty(stored.Identifier)))
            {
                fold.Take(stored, experiment => !experiment.WasFinal(BatchId.ReceivedAt(stored.Batch), late));
            }

            await fold.Fold(new Dictionary<ExposureFold.Key, Exposures>());
            isDone = page.Count < Pass.Size;
            (at, key) = isDone ? (at, key) : (page[^1].At, page[^1].Key);
        }

        await connection.ExecuteAsync(Move, new { at, key, isDone, cursor.Links });
        await transaction.CommitAsync(ct);
        return true;
    }

    private sealed record CursorRow
    {
        public long[]? Links { get; init; }

        public bool IsNew { get; init; }

        public DateTime? At { get; init; }

        public long? Key { get; init; }
    }
}
