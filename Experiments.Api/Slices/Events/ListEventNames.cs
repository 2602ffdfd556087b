using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Events;

/// <summary>Lists the names of received events, most recent first.</summary>
internal static class ListEventNames
{
    public static void Map(RouteGroupBuilder environment) =>
        environment
            .MapGet(
                "/events/names",
                context => context.Get(new Query(context.Environment.Id, context.Query["q"], context.Page, context.Address))
            )
            .WithTags("Events")
            .WithOperation("listEventNames", "List the names of received events, most recent first")
            .HasQuery("q", "Only those with this text in their name, in any case.", "purchase")
            .HasPaging()
            .Returns<Listing<EventName>>();

    internal sealed record Query(long EnvironmentId, string? Q, Page Page, Uri Address) : IRequest<Result<Listing<EventName>>>, IPaged;

    /// <summary>The events of one name: how many, when the first and the last of them happened, and whether anything counts them.</summary>
    /// <param name="Event">The name.</param>
    /// <param name="Count">How many there are.</param>
    /// <param name="FirstSeen">When the first of them happened.</param>
    /// <param name="LastSeen">When the last of them happened.</param>
    /// <param name="Metrics">How many metrics of the environment ask for them.</param>
    /// <param name="Experiments">How many experiments that have started count them, as exposures or in a metric. If there are none, they
    /// change no result.</param>
    /// <param name="NotNumbers">How many events of counted identities have no number where a metric of one of these experiments needs one;
    /// of several metrics, the one that misses most.</param>
    internal sealed record EventName(
        string Event,
        long Count,
        DateTime FirstSeen,
        DateTime LastSeen,
        int Metrics,
        int Experiments,
        long NotNumbers
    );

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleFor(query => query.Q).Search();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<EventName>>>
    {
        private const string Sql = """
            WITH found AS MATERIALIZED (
                SELECT event, count, first_seen, last_seen FROM event_names
                WHERE environment_id = @EnvironmentId AND (@Pattern::text IS NULL OR event ILIKE @Pattern)
            ), asked AS MATERIALIZED (
                SELECT m.id, q.name #>> '{}' AS event FROM metrics m, jsonb_path_query(m.definition, '$.**.event') AS q(name)
                WHERE m.environment_id = @EnvironmentId AND m.deleted_at IS NULL
            ), started AS MATERIALIZED (
                SELECT id, COALESCE(exposure->>'event', '$flag_exposure') AS event FROM experiments
                WHERE environment_id = @EnvironmentId AND deleted_at IS NULL AND started_at IS NOT NULL
            ), counted AS MATERIALIZED (
                SELECT id, event FROM started
                UNION ALL
                SELECT s.id, q.name #>> '{}' FROM started s JOIN experiment_metrics l ON l.experiment_id = s.id,
                    jsonb_path_query(l.definition, '$.**.event') AS q(name)
            ), numberless AS MATERIALIZED (
                SELECT q.name #>> '{}' AS event, max(missed.count) AS count
                FROM started s
                JOIN experiment_metrics l ON l.experiment_id = s.id
                CROSS JOIN LATERAL (SELECT sum(m.not_numbers)::bigint AS count FROM metric_sums m WHERE m.link_id = l.id) missed,
                    jsonb_path_query(l.definition, '$.**.event') AS q(name)
                WHERE missed.count > 0
                GROUP BY 1
            ), page AS (
                SELECT * FROM found ORDER BY last_seen DESC, event LIMIT @Limit OFFSET @Offset
            )
            SELECT total.count AS total, p.event, p.count, p.first_seen, p.last_seen,
                (SELECT count(DISTINCT a.id)::int FROM asked a WHERE a.event = p.event) AS metrics,
                (SELECT count(DISTINCT c.id)::int FROM counted c WHERE c.event = p.event) AS experiments,
                COALESCE((SELECT n.count FROM numberless n WHERE n.event = p.event), 0) AS not_numbers
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN page p ON true
            ORDER BY p.last_seen DESC, p.event
            """;

        public async Task<Result<Listing<EventName>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.EnvironmentId,
                    Pattern = Rules.LikePattern(query.Q),
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<EventName>(
                query.Address,
                rows[0].Total,
                [
                    .. rows.Where(row => row.Event is not null)
                        .Select(row => new EventName(
                            row.Event!,
                            row.Count!.Value,
                            row.FirstSeen!.Value,
                            row.LastSeen!.Value,
                            row.Metrics,
                            row.Experiments,
                            row.NotNumbers
                        )),
                ]
            );
        }

        private sealed record Row(
            long Total,
            string? Event,
            long? Count,
            DateTime? FirstSeen,
            DateTime? LastSeen,
            int Metrics,
            int Experiments,
            long NotNumbers
        );
    }
}
