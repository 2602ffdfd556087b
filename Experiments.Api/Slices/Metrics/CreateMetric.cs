using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Metrics;

/// <summary>Defines a metric of the environment.</summary>
internal static class CreateMetric
{
    public static void Map(RouteGroupBuilder metrics) =>
        metrics
            .MapPost("/", context => context.Create<Body, MetricView>(body => new Command(context.Scope, body)))
            .WithOperation("createMetric", "Create a metric")
            .HasBody<Body>(
                """{"name": "Revenue", "aggregation": "sum", "direction": "up", "definition": {"event": "purchase", "property": "value"}}"""
            )
            .Returns<MetricView>(StatusCodes.Status201Created);

    internal sealed record Body(
        string? Name = null,
        string? Description = null,
        string? Aggregation = null,
        string? Direction = null,
        double? Margin = null,
        [property: Must(Required = true)] MetricDefinition? Definition = null
    );

    internal sealed record Command(CommandScope Scope, Body Body) : IRequest<Result<MetricView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Description).MaxCharacters(10_000);
            RuleFor(c => c.Body.Aggregation)
                .NotNull()
                .WithMessage($"This is required: {string.Join(", ", MetricRules.Aggregations)}.")
                .OneOf(MetricRules.Aggregations);
            RuleFor(c => c.Body.Direction).OneOf(MetricRules.Directions);
            RuleFor(c => c.Body.Margin)
                .Holds(MetricRules.IsMargin, MetricRules.NoMargin, constraints => (constraints.Minimum, constraints.Maximum) = ("0", "1"));
            RuleFor(c => c.Body).Custom((body, context) => MetricRules.Check(body.Aggregation, body.Definition, context.AddFailure));
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<MetricView>>
    {
        private const string Sql = $"""
            WITH m AS (
                INSERT INTO metrics (environment_id, name, description, aggregation, direction, margin, definition, created_by)
                VALUES (@EnvironmentId, @Name, @Description, @Aggregation, @Direction, @Margin, @Definition::jsonb, @Actor)
                RETURNING *
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT m.environment_id, @Actor, @RequestId, @Address, 'metric.created', 'metric', m.id, {MetricView.State} FROM m
            )
            SELECT {MetricView.Columns} FROM m
            """;

        public async Task<Result<MetricView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            return (
                await db.Change<MetricView>(
                    Sql,
                    new
                    {
                        command.Scope,
                        Name = body.Name!.Trim(),
                        Description = body.Description?.Trim() ?? "",
                        body.Aggregation,
                        Direction = body.Direction ?? Words.Of(MetricDirection.Up),
                        body.Margin,
                        Definition = MetricRules.Stored(body.Definition!),
                    },
                    cancellationToken
                )
            )!;
        }
    }
}
