using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Up to when the windows of identities that are over have been taken into account, as it is stored.</summary>
internal static class MetricMaturity
{
    private const string Upsert = """
        INSERT INTO metric_maturity AS t (link_id, as_of, exposed_until, complete_until)
        SELECT * FROM unnest(@Links, @AsOf, @ExposedUntil, @CompleteUntil)
        ON CONFLICT (link_id) DO UPDATE SET as_of = excluded.as_of, exposed_until = excluded.exposed_until,
            complete_until = excluded.complete_until
        """;

    /// <summary>Records it for metrics with windows, which have all been matured.</summary>
    public static Task Record(NpgsqlConnection connection, Timeline timeline, IReadOnlyCollection<MetricLink> windowed)
    {
        return connection.ExecuteAsync(
            Upsert,
            new
            {
                Links = new Column<long>(windowed.Select(link => link.Id)),
                AsOf = new Column<DateTime>(windowed.Select(link => link.AsOf!.Value)),
                ExposedUntil = new Column<DateTime?>(windowed.Select(link => LatestOver(link, closes: link.CountsCutShort))),
                CompleteUntil = new Column<DateTime?>(windowed.Select(link => LatestOver(link, closes: false))),
            }
        );

        DateTime? LatestOver(MetricLink link, bool closes) =>
            link.Window is { } window ? timeline.LatestOver(window, link.AsOf!.Value, closes) : null;
    }
}
