using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Cohorts;

/// <summary>Creates the cohort of a started experiment: all exposed identities, or those of one variant.</summary>
internal static class CreateExposureCohort
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/exposure-cohort",
                context => context.Create<Body, CohortView>(body => new Command(context.Scope, context.Id, body), at: "cohorts")
            )
            .WithOperation("createExposureCohort", "Create a cohort of the identities exposed to an experiment")
            .HasBody<Body>("""{"variant": "green"}""")
            .Returns<CohortView>(StatusCodes.Status201Created)
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.NeverStarted, Problem.CohortExists);

    internal sealed record Body(string? Name = null, string? Variant = null);

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<CohortView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(400).When(c => c.Body.Name is not null);
            RuleFor(c => c.Body.Variant).Must(key => key is null || Slug.IsValid(key)).WithMessage("This must be the key of a variant.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<CohortView>>
    {
        private const string Sql = $"""
            {ExperimentMutation.Subject}, allowed AS (
                SELECT s.started_at IS NOT NULL AS has_started,
                       @Variant::text IS NULL OR EXISTS (SELECT FROM jsonb_array_elements(s.variants) AS v
                           WHERE v->>'key' = @Variant) AS has_variant
                FROM subject s
            ), created AS (
                INSERT INTO cohorts AS c (environment_id, experiment_id, name, variant, created_by)
                SELECT s.environment_id, s.id, COALESCE(@Name, format('Users exposed to experiment "%s"', s.name)), @Variant, @Actor
                FROM subject s, verdict v, allowed a
                WHERE NOT v.stale AND a.has_started AND a.has_variant
                ON CONFLICT (experiment_id) DO NOTHING
                RETURNING c.*, {CohortView.State} AS after
            ), changed AS (
                UPDATE experiments e SET version = s.version + 1, updated_at = v.at FROM subject s, verdict v
                WHERE e.id = s.id AND EXISTS (SELECT FROM created)
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT environment_id, @Actor, @RequestId, @Address, 'cohort.created', 'cohort', id, after FROM created
            )
            SELECT v.stale, a.*, {CohortView.Columns} FROM verdict v CROSS JOIN allowed a LEFT JOIN created c ON true
            """;

        public async Task<Result<CohortView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Name = command.Body.Name?.Trim(),
                    command.Body.Variant,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { HasVariant: false } => ProblemResult.Field("variant", "The experiment has no variant with this key."),
                { Stale: true } => Problem.Stale,
                { HasStarted: false } => Problem.NeverStarted,
                { Id: 0 } => Problem.CohortExists,
                _ => row,
            };
        }

        private sealed record Row : CohortView
        {
            public bool Stale { get; init; }

            public bool HasStarted { get; init; }

            public bool HasVariant { get; init; }
        }
    }
}
