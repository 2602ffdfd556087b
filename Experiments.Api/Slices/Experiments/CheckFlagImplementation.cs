using Experiments.Api.Aggregation;
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

    internal sealed class Handler(Db db, IEventStore store) : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql =
            "SELECT name FROM environment_features WHERE environment_id = @EnvironmentId AND id = @Feature AND deleted_at IS NULL";

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken)
        {
            Flag? flag = null;
            if (ObjectIds.In(query.Feature) is { } feature)
            {
                flag = await db.Row<Flag>(Sql, new { query.EnvironmentId, Feature = feature }, cancellationToken);
                if (flag is null)
                {
                    return ProblemResult.Field("feature", "This environment has no feature with this id.");
                }
            }

            var uses = await store.Uses(query.EnvironmentId, flag?.Name, [.. query.Events.Select(name => name!)], Days, cancellationToken);
            return new Response(
                uses.All(use => use.FromExposed == 0),
                Days,
                [.. uses.Select(use => new EventSeen(use.Event, use.Count, use.LastSeen, use.FromExposed, use.FromExposedLastSeen))]
            );
        }

        private sealed record Flag(string Name);
    }
}
