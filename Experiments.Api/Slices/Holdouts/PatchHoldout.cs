using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>Renames a holdout, or changes its percentage while no experiment has started with it.</summary>
internal static class PatchHoldout
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapPatch("/{id}", context => context.Patch<Body, HoldoutView>(body => new Command(context.Scope, context.Id, body)))
            .WithOperation("patchHoldout", "Update a holdout; its percentage only before an experiment has started with it")
            .HasBody<Body>("""{"percentage": 10}""")
            .Returns<HoldoutView>()
            .FailsWith(Problem.NoHoldout, Problem.Stale, Problem.HoldoutFixed);

    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        public Optional<string> Description { get; init; }

        public Optional<decimal?> Percentage { get; init; }
    }

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<HoldoutView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Description).NotNullIfPresent();
            RuleFor(c => c.Body.Description.Value).MaxCharacters(10_000).OverridePropertyName("description");
            RuleFor(c => c.Body.Percentage).NotNullIfPresent();
            RuleFor(c => c.Body.Percentage.Value)
                .InclusiveBetween(0, 100)
                .OverridePropertyName("percentage")
                .WithMessage("This must be from 0 to 100.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<HoldoutView>>
    {
        // Experiments include their holdout, and features the one that keeps a value of theirs, so the versions of those change as well.
        private const string Sql = $"""
            {HoldoutView.Lock}

            WITH subject AS (
                SELECT h.*, {HoldoutView.State} AS state, {HoldoutView.Counted} AND @Percentage <> h.percentage AS is_fixed,
                    COALESCE({HoldoutView.Tag} <> ALL (@IfMatch::text[]), false) AS stale
                FROM holdouts h
                WHERE h.id = @Id AND h.environment_id = @EnvironmentId AND h.deleted_at IS NULL
            ), changed AS (
                UPDATE holdouts h SET
                    name = COALESCE(@Name, s.name), description = COALESCE(@Description, s.description),
                        percentage = COALESCE(@Percentage, s.percentage),
                    version = s.version + 1, updated_at = GREATEST(clock_timestamp(), s.updated_at)
                FROM subject s
                WHERE h.id = s.id AND NOT s.stale AND s.is_fixed IS NOT TRUE
                  AND (COALESCE(@Name, s.name), COALESCE(@Description, s.description), COALESCE(@Percentage, s.percentage)) <> (s.name,
                      s.description, s.percentage)
                RETURNING h.*
            ), shown AS (
                UPDATE experiments e SET version = e.version + 1, updated_at = GREATEST(c.updated_at, e.updated_at)
                FROM changed c WHERE e.holdout_id = c.id AND e.deleted_at IS NULL
            ), named AS (
                UPDATE feature_states s SET version = s.version + 1
                FROM changed c WHERE s.held_by = c.id AND s.environment_id = c.environment_id
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT h.environment_id, @Actor, @RequestId, @Address,
                       'holdout.updated', 'holdout', h.id, s.state, {HoldoutView.State} FROM changed h, subject s
            ), {HoldoutView.Now}
            SELECT s.stale, s.is_fixed, {HoldoutView.Columns} FROM now h, subject s
            """;

        public async Task<Result<HoldoutView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Name = body.Name.Value?.Trim(),
                    Description = body.Description.Value?.Trim(),
                    Percentage = body.Percentage.Value,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoHoldout,
                { Stale: true } => Problem.Stale,
                { IsFixed: true } => Problem.HoldoutFixed,
                _ => row,
            };
        }

        private sealed record Row : HoldoutView
        {
            public bool Stale { get; init; }

            public bool IsFixed { get; init; }
        }
    }
}
