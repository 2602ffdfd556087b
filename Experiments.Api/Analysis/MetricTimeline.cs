using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// Counts, by hour or day and variant, how many identities were first exposed then, and how many had their first conversion then: the
/// first instant at which the value of the metric was other than 0.
/// </summary>
internal sealed class MetricTimeline(NpgsqlDataSource source, FullPasses passes, ResultsReader reader)
{
    /// <summary>The most points that are shown. What is earlier is summed up.</summary>
    public const int MostPoints = 500;

    private const string Exposed = """
        SELECT date_trunc(@unit, hour, 'UTC') AS at, substr(outcome, length(@InVariant) + 1) AS key, sum(count)::bigint AS count
        FROM exposure_counts WHERE experiment_id = @experimentId AND outcome LIKE @InVariant || '%'
        GROUP BY 1, 2 HAVING sum(count) <> 0
        """;

    private const string Converted = """
        SELECT m.arm, x.enrolled_at, m.events
        FROM unit_metrics m
        JOIN exposures x ON x.experiment_id = m.experiment_id AND x.identity = m.identity
        WHERE m.experiment_id = $1 AND m.arm >= 0 AND m.numbers[$2] <> 0
        """;

    /// <summary>The points of one metric.</summary>
    /// <param name="experimentId">The experiment.</param>
    /// <param name="metric">The metric, by its id; null for the primary one.</param>
    /// <param name="isHourly">By hour, or else by day.</param>
    /// <param name="ct">Ends it.</param>
    public Task<Result<TimelineView>> Of(long experimentId, long? metric, bool isHourly, CancellationToken ct) =>
        passes.Read(connection => Read(connection, experimentId, metric, isHourly, ct), ct).OrDetach(ct);

    private async Task<Result<TimelineView>> Read(
        NpgsqlConnection connection,
        long experimentId,
        long? metric,
        bool isHourly,
        CancellationToken ct
    )
    {
        var found = await reader.ReadMetric(connection, experimentId, metric);
        if (found.Value is not var (input, measured))
        {
            return found.Failure!;
        }

        var keys = input.Variants.Select(variant => variant.Key).ToList();
        if (input.StartedAt is null)
        {
            return TimelineView.Of(input.AsOf, measured, isHourly, keys, []);
        }

        var definitions = new DefinitionReader(source, connection);
        if (
            await definitions.Snapshot(experimentId) is not { } experiment
            || (await definitions.Links([experiment])).FirstOrDefault(one => one.Id == measured.Link) is not { } link
        )
        {
            return Problem.ResultsFailed;
        }

        var points = new SortedDictionary<DateTime, (long Exposed, long Converted)[]>();
        (long Exposed, long Converted)[] At(DateTime at)
        {
            if (!points.TryGetValue(at, out var point))
            {
                points.Add(at, point = new (long, long)[input.Variants.Count]);
            }

            return point;
        }

        foreach (
            var (at, key, count) in await connection.QueryAsync<(DateTime At, string Key, long Count)>(
                Exposed,
                new
                {
                    experimentId,
                    ExposureState.InVariant,
                    unit = isHourly ? "hour" : "day",
                }
            )
        )
        {
            At(at)[keys.IndexOf(key)].Exposed += count;
        }

        await using var command = new NpgsqlCommand(Converted, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<long> { TypedValue = experimentId },
                new NpgsqlParameter<int> { TypedValue = link.Layout.Y + 1 },
            },
        };
        await using var row = await command.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            if (ConvertedAt(row, link) is { } converted)
            {
                At(isHourly ? converted.Date.AddHours(converted.Hour) : converted.Date)[row.GetInt16(0)].Converted++;
            }
        }

        return TimelineView.Of(input.AsOf, measured, isHourly, keys, [.. points]);
    }

    private static DateTime? ConvertedAt(NpgsqlDataReader row, MetricLink link) =>
        link.ConvertedAt(UnitEventHistory.Of(row.GetFieldValue<byte[]>(2)).Of(link.SourceMetric), row.GetDateTime(1));
}
