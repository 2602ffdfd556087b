using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Wire;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Changes what an experiment says of itself. What it compares, and its status, change elsewhere.</summary>
internal static class PatchExperiment
{
    public static void Map(RouteGroupBuilder experiments) => experiments
        .MapPatch("/{id}", (ObjectId id, Call call) => call.Patch<Body, ExperimentView>(body => new Command(call.Scope, id.Value, body)))
        .Named("patchExperiment", "Change an experiment's name, hypothesis or description, or archive it")
        .Takes<Body>("""{"name": "Greener button", "archived": false}""")
        .Answers<ExperimentView>()
        .Refuses(Problem.NoExperiment, Problem.Stale, Problem.ExperimentRunning);

    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        public Optional<string> Hypothesis { get; init; }

        public Optional<string> Description { get; init; }

        public Optional<bool?> Archived { get; init; }
    }

    internal sealed record Command(Scope Scope, long Id, Body Body) : IRequest<Outcome<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Hypothesis).RequiredIfPresent(10_000);
            RuleFor(c => c.Body.Description).NotNullIfPresent();
            RuleFor(c => c.Body.Description.Value).MaxCharacters(10_000).OverridePropertyName("description");
            RuleFor(c => c.Body.Archived).NotNullIfPresent();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Outcome<ExperimentView>>
    {
        // What stays as it was is not written, and leaves no entry.
        private const string Sql =
            $"""
            {ExperimentChange.Subject}, changed AS (
                UPDATE experiments e SET
                    name = COALESCE(@Name, s.name), hypothesis = COALESCE(@Hypothesis, s.hypothesis),
                    description = COALESCE(@Description, s.description), archived = COALESCE(@Archived, s.archived),
                    version = s.version + 1, updated_at = v.at
                FROM subject s
                CROSS JOIN verdict v
                WHERE e.id = s.id AND NOT v.stale AND NOT (s.status = 'running' AND @Archived IS TRUE)
                  AND (COALESCE(@Name, s.name), COALESCE(@Hypothesis, s.hypothesis), COALESCE(@Description, s.description),
                       COALESCE(@Archived, s.archived)) <> (s.name, s.hypothesis, s.description, s.archived)
                RETURNING e.*, {ExperimentView.State} AS state
            ), {ExperimentChange.Logged}
            {ExperimentChange.Answer}
            """;

        public async Task<Outcome<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var row = await db.ChangeLocked<ExperimentChange.Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope.EnvironmentId,
                    command.Scope.Actor,
                    command.Scope.IfMatch,
                    Action = "experiment.updated",
                    Name = body.Name.Value?.Trim(),
                    Hypothesis = body.Hypothesis.Value?.Trim(),
                    Description = body.Description.Value?.Trim(),
                    Archived = body.Archived.Value,
                },
                cancellationToken);

            return row switch
            {
                null => Problem.NoExperiment,
                { Stale: true } => Problem.Stale,
                { Before: ExperimentStatus.Running } when body.Archived.Value is true => Problem.ExperimentRunning,
                _ => row,
            };
        }
    }
}
