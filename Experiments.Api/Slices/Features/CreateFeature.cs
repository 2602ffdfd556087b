using System.Text.Json;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>
/// Makes a feature of the project, multivariate when it has options. In other environments it is disabled and has the same value; a trigger
/// makes its states there.
/// </summary>
internal static class CreateFeature
{
    public static void Map(RouteGroupBuilder features) =>
        features
            .MapPost("/", context => context.Create<Body, FeatureView>(body => new Command(context.Scope, body)))
            .WithOperation("createFeature", "Create a feature; with options it is multivariate")
            .HasBody<Body>(
                """{"name": "button_colour", "initial_value": "blue", "multivariate_options": [{"key": "green", "value": "green","""
                    + """ "default_percentage_allocation": 0}]}"""
            )
            .Returns<FeatureView>(StatusCodes.Status201Created)
            .FailsWith(Problem.FeatureNameTaken);

    internal sealed record Body(
        string? Name = null,
        JsonElement? InitialValue = null,
        [property: Must(Default = false)] bool? Enabled = null,
        string? Description = null,
        [property: Must(MaxItems = 10)] IReadOnlyList<OptionBody?>? MultivariateOptions = null
    );

    internal sealed record Command(CommandScope Scope, Body Body) : IRequest<Result<FeatureView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Description).MaxCharacters(10_000);
            RuleFor(c => c.Body.InitialValue).FeatureValue();
            RuleFor(c => c.Body.MultivariateOptions).Options();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<FeatureView>>
    {
        private const string Sql = $"""
            WITH asked AS MATERIALIZED (
                SELECT options_of(@Options::jsonb, '[]') AS options
            ), {FeatureView.Project}, defined AS (
                INSERT INTO features (project_id, name, description, options, default_value)
                SELECT p.id, @Name, @Description, options_alone(a.options), @InitialValue::jsonb FROM project p, asked a
                ON CONFLICT (project_id, folded(name)) WHERE deleted_at IS NULL DO NOTHING
                RETURNING *
            ), switched AS (
                INSERT INTO feature_states (environment_id, feature_id, project_id, enabled, initial_value, percentages)
                SELECT @EnvironmentId, d.id, d.project_id, @Enabled, d.default_value, percentages_of(a.options) FROM defined d, asked a
                RETURNING *
            ), created AS (
                SELECT f.*, {FeatureView.State} AS after
                FROM (SELECT {FeatureView.Here} FROM defined f JOIN switched s ON s.feature_id = f.id) f
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT environment_id, @Actor, @RequestId, @Address, 'feature.created', 'feature', id, after FROM created
            )
            SELECT {FeatureView.Columns} FROM created f
            """;

        public async Task<Result<FeatureView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var feature = await db.Change<FeatureView>(
                Sql,
                new
                {
                    command.Scope,
                    Name = body.Name!.Trim(),
                    Description = body.Description?.Trim() ?? "",
                    Enabled = body.Enabled ?? false,
                    InitialValue = FeatureRules.Stored(body.InitialValue),
                    Options = FeatureRules.Stored(body.MultivariateOptions ?? []),
                },
                cancellationToken
            );
            return feature is null ? Problem.FeatureNameTaken : feature;
        }
    }
}
