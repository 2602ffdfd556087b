using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Wire;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Declares an experiment on a multivariate feature that has no other one going on.</summary>
internal static class CreateExperiment
{
    public static void Map(RouteGroupBuilder experiments) => experiments
        .MapPost("/", (Call call) => call.Create<Body, ExperimentView>(body => new Command(call.Scope, body)))
        .Named("createExperiment", "Create an experiment on a multivariate feature")
        .Takes<Body>("""{"name": "Green button", "hypothesis": "A green button sells more.", "feature": 1, "rollout_percentage": 50}""")
        .Answers<ExperimentView>(StatusCodes.Status201Created)
        .Refuses(Problem.AlreadyActive);

    internal sealed record Body(
        string? Name = null, string? Hypothesis = null, string? Description = null, string? Type = null, long? Feature = null,
        decimal? RolloutPercentage = null, IReadOnlyList<Share?>? Variants = null);

    internal sealed record Share(string? Key = null, decimal? Weight = null);

    internal sealed record Command(Scope Scope, Body Body) : IRequest<Outcome<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Hypothesis).Required(10_000);
            RuleFor(c => c.Body.Description).MaxCharacters(10_000);
            RuleFor(c => c.Body.Type).OneOf("product", "web");
            RuleFor(c => c.Body.Feature).NotNull().WithMessage("This is required: the id of a multivariate feature.");
            RuleFor(c => c.Body.RolloutPercentage).InclusiveBetween(0, 100).WithMessage("This must be from 0 to 100.");
            RuleFor(c => c.Body.Variants).Custom((variants, context) => Split.Check(
                "variants", variants?.Select(variant => (variant?.Key, variant?.Weight)), context.AddFailure));
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Outcome<ExperimentView>>
    {
        // The lock on the feature keeps its options as they are read here until the experiment stands on them.
        private const string Sql =
            $"""
            WITH flag AS (
                SELECT f.*, @Weights::jsonb IS NULL OR split_fits(f.multivariate_options, @Weights::jsonb) AS split_fits
                FROM features f
                WHERE f.id = @Feature AND f.environment_id = @EnvironmentId AND f.deleted_at IS NULL
                FOR SHARE
            ), created AS (
                INSERT INTO experiments AS e
                    (environment_id, feature_id, name, hypothesis, description, type, rollout_percentage, variants, created_by)
                SELECT f.environment_id, f.id, @Name, @Hypothesis, @Description, @Type, @Rollout,
                       variants_of(f.initial_value, f.multivariate_options, @Weights::jsonb), @Actor
                FROM flag f
                WHERE f.multivariate_options <> '[]' AND f.split_fits
                ON CONFLICT (environment_id, feature_id) WHERE status <> 'completed' AND deleted_at IS NULL DO NOTHING
                RETURNING e.*, {ExperimentView.State} AS after
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, action, object_type, object_id, after)
                SELECT environment_id, @Actor, 'experiment.created', 'experiment', id, after FROM created
            )
            SELECT f.multivariate_options <> '[]' AS multivariate, f.split_fits, {ExperimentView.Columns}
            FROM flag f
            LEFT JOIN created e ON true
            """;

        public async Task<Outcome<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var row = await db.Change<Row>(
                Sql,
                new
                {
                    command.Scope.EnvironmentId,
                    command.Scope.Actor,
                    Name = body.Name!.Trim(),
                    Hypothesis = body.Hypothesis!.Trim(),
                    Description = body.Description?.Trim() ?? "",
                    Type = body.Type ?? "product",
                    body.Feature,
                    Rollout = body.RolloutPercentage ?? 100,
                    Weights = body.Variants is { } variants
                        ? JsonSerializer.Serialize(variants.ToDictionary(variant => variant!.Key!, variant => variant!.Weight!.Value))
                        : null,
                },
                cancellationToken);

            return row switch
            {
                null => Refusal.Field("feature", "This environment has no feature with this id."),
                { Multivariate: false } => Refusal.Field("feature", "This feature has no options. Add some, so that there is something to compare."),
                { SplitFits: false } => Refusal.Field("variants", "These must be 'control' and each option of the feature, once."),
                { Id: 0 } => Problem.AlreadyActive,
                _ => row,
            };
        }

        private sealed record Row : ExperimentView
        {
            public bool Multivariate { get; init; }

            public bool SplitFits { get; init; }
        }
    }
}
