using Dapper;
using Npgsql;

namespace Experiments.Api.Demo;

/// <summary>
/// Moves what the demo did just now into the past, since all instants are the service's own. It touches nothing but the project of the
/// demo, and runs nowhere else.
/// </summary>
internal sealed class DemoClock(NpgsqlDataSource source, long projectId)
{
    private const string InDemo = "environment_id IN (SELECT n.id FROM environments n WHERE n.project_id = @projectId)";

    // With known salts, the same visitors get the same variants in every run.
    private const string StartSql = $"""
        WITH held AS (
            UPDATE holdouts SET salt = 'demo holdout' WHERE {InDemo}
        )
        UPDATE experiments e SET salt = 'demo-' || f.name, started_at = e.started_at - @Ago::interval,
            created_at = e.created_at - @Ago::interval,
            runs = tstzmultirange(tstzrange(e.started_at - @Ago::interval, NULL))
        FROM features f WHERE e.id = @Id AND f.id = e.feature_id AND e.status = 'running' AND e.{InDemo}
        """;

    private const string EndSql = $"""
        UPDATE experiments e SET ended_at = e.ended_at - @Ago::interval,
            runs = tstzmultirange(tstzrange(e.started_at, e.ended_at - @Ago::interval))
        WHERE e.id = @Id AND e.status = 'completed' AND e.{InDemo}
        """;

    // Results may be refreshed once a minute; here they are once a day.
    private const string DaySql = $"""
        WITH again AS (
            DELETE FROM result_refreshes r USING experiments e WHERE e.id = r.experiment_id AND e.{InDemo}
        )
        UPDATE results_history h SET day = h.day - @Days::int, as_of = h.as_of - make_interval(days => @Days::int),
            payload = jsonb_set(h.payload, ARRAY['as_of'], to_jsonb(instant(h.as_of - make_interval(days => @Days::int))))
        FROM experiments e
        WHERE e.id = h.experiment_id AND e.{InDemo} AND h.day = (clock_timestamp() AT TIME ZONE 'UTC')::date AND @Days > 0
        """;

    public Task Started(long experiment, TimeSpan ago, CancellationToken ct) =>
        Run(
            StartSql,
            new
            {
                Id = experiment,
                ago,
                projectId,
            },
            ct
        );

    public Task Ended(long experiment, TimeSpan ago, CancellationToken ct) =>
        Run(
            EndSql,
            new
            {
                Id = experiment,
                ago,
                projectId,
            },
            ct
        );

    /// <summary>Takes the results that were computed last for those of an earlier day.</summary>
    public Task DayIsOver(int daysAgo, CancellationToken ct) => Run(DaySql, new { Days = (long)daysAgo, projectId }, ct);

    private async Task Run(string sql, object parameters, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await connection.ExecuteAsync(new CommandDefinition(sql, parameters, cancellationToken: ct));
    }
}
