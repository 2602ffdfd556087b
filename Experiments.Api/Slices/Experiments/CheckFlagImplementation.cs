using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Whether applications still have to implement the flag: none of the relevant events has recently come from an identity that was shown
/// it.
/// </summary>
internal static class CheckFlagImplementation
{
    private const int Days = 7;

    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet(
                "/requires-flag-implementation",
                context => context.Get(new Query(context.Environment.Id, [.. context.Query["event"]], context.Query["feature"]))
            )
            .WithOperation("requiresFlagImplementation", "Whether applications still have to implement the flag of an experiment")
            .HasQuery("event", "The events that the experiment is to be measured by; may be repeated.", "purchase", repeatable: true)
            .HasQuery("feature", "The feature, by its id; any without it.", "1")
            .Returns<Response>()
            .FailsWith(Problem.Invalid);

    internal sealed record Query(long EnvironmentId, string?[] Events, string? Feature) : IRequest<Result<Response>>;

    [Example(
        """{"result": false, "days": 7, "events": [{"event": "purchase", "count": 120, "last_seen": "2026-11-22T12:00:00Z","""
            + """ "from_exposed": 87, "from_exposed_last_seen": "2026-11-22T11:59:00Z"}]}"""
    )]
    internal sealed record Response(bool Result, int Days, IReadOnlyList<EventSeen> Events);

    /// <summary>
    /// How many of these events came within the days, and how many of them from identities that were shown the flag within them.
    /// </summary>
    internal sealed record EventSeen(string Event, long Count, DateTime? LastSeen, long FromExposed, DateTime? FromExposedLastSeen);

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            RuleFor(q => q.Events)
                .Must(events =>
                    events.Length is >= 1 and <= 20
                    && events.All(name =>
                        !string.IsNullOrWhiteSpace(name) && Rules.Fits(name, 256) && !name.Contains('\0', StringComparison.Ordinal)
                    )
                )
                .OverridePropertyName("event")
                .WithMessage("This is required: 1 to 20 names of events.");
            RuleFor(q => q.Feature).Id("a feature");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = $"""
            WITH flag AS (
                SELECT name FROM environment_features WHERE environment_id = @EnvironmentId AND id = @Feature AND deleted_at IS NULL
            ), shown AS MATERIALIZED (
                SELECT DISTINCT s.identifier
                FROM events s
                WHERE s.environment_id = @EnvironmentId AND s.event = '$flag_exposure'
                    AND s.happened_at >= now() - @Days * interval '1 day'
                    AND s.at >= now() - @Days * interval '1 day' - {ClockSkew.Slack} AND s.identifier <> ''
                  AND (@Feature::bigint IS NULL OR folded(s.feature_name) = (SELECT folded(name) FROM flag))
            )
            SELECT a.event, count(v.at) AS count, max(v.happened_at) AS last_seen,
                   count(v.at) FILTER (WHERE s.identifier IS NOT NULL) AS from_exposed,
                       max(v.happened_at) FILTER (WHERE s.identifier IS NOT NULL) AS from_exposed_last_seen,
                   @Feature::bigint IS NULL OR EXISTS (SELECT FROM flag) AS has_feature
            FROM (SELECT DISTINCT event FROM unnest(@Events) AS event) a
            LEFT JOIN events v ON v.environment_id = @EnvironmentId AND v.event = a.event
                AND v.happened_at >= now() - @Days * interval '1 day'
                AND v.at >= now() - @Days * interval '1 day' - {ClockSkew.Slack}
            LEFT JOIN shown s ON s.identifier = v.identifier
            GROUP BY a.event
            ORDER BY a.event
            """;

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.EnvironmentId,
                    Feature = ObjectIds.In(query.Feature),
                    query.Events,
                    Days,
                },
                cancellationToken
            );
            return rows[0].HasFeature
                ? new Response(
                    rows.All(row => row.FromExposed == 0),
                    Days,
                    [.. rows.Select(row => new EventSeen(row.Event, row.Count, row.LastSeen, row.FromExposed, row.FromExposedLastSeen))]
                )
                : ProblemResult.Field("feature", "This environment has no feature with this id.");
        }

        private sealed record Row(
            string Event,
            long Count,
            DateTime? LastSeen,
            long FromExposed,
            DateTime? FromExposedLastSeen,
            bool HasFeature
        );
    }
}
