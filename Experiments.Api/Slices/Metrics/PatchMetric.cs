using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Metrics;

/// <summary>
/// Changes a metric: a definition as a whole, for the aggregation that it has. While an experiment measures by it, only its name and
/// description may change.
/// </summary>
internal static class PatchMetric
{
    public static void Map(RouteGroupBuilder metrics) =>
        metrics
            .MapPatch("/{id}", context => context.Patch<Body, MetricView>(body => new Command(context.Scope, context.Id, body)))
            .WithOperation("patchMetric", "Update a metric")
            .HasBody<Body>("""{"name": "Revenue"}""")
            .Returns<MetricView>()
            .FailsWith(Problem.NoMetric, Problem.Stale, Problem.MetricInUse);

    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        public Optional<string> Description { get; init; }

        public Optional<string> Direction { get; init; }

        public Optional<double?> Margin { get; init; }

        public Optional<MetricDefinition> Definition { get; init; }
    }

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<MetricView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Description).NotNullIfPresent();
            RuleFor(c => c.Body.Description.Value).MaxCharacters(10_000).OverridePropertyName("description");
            RuleFor(c => c.Body.Direction).NotNullIfPresent();
            RuleFor(c => c.Body.Direction.Value).OneOf(MetricRules.Directions).OverridePropertyName("direction");
            RuleFor(c => c.Body.Margin.Value)
                .Holds(MetricRules.IsMargin, MetricRules.NoMargin, constraints => (constraints.Minimum, constraints.Maximum) = ("0", "1"))
                .OverridePropertyName("margin");
            RuleFor(c => c.Body.Definition).NotNullIfPresent();
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<MetricView>>
    {
        private const string Sql = $"""
            {MetricView.Lock}

            WITH subject AS (
                SELECT m.*, {MetricView.State} AS state,
                    -- What experiments have copied may be renamed, but means the same as long as they run.
                    {MetricView.IsMeasuredBy} AND (@Direction <> m.direction OR @Definition::jsonb <> m.definition
                        OR (@SetsMargin AND @Margin IS DISTINCT FROM m.margin)) IS TRUE AS in_use,
                    COALESCE({MetricView.Tag} <> ALL (@IfMatch::text[]), false) AS stale
                FROM metrics m
                WHERE m.id = @Id AND m.environment_id = @EnvironmentId AND m.deleted_at IS NULL
            ), changed AS (
                UPDATE metrics m SET
                    name = COALESCE(@Name, s.name), description = COALESCE(@Description, s.description),
                        direction = COALESCE(@Direction, s.direction), margin = CASE WHEN @SetsMargin THEN @Margin ELSE s.margin END,
                    definition = COALESCE(@Definition::jsonb, s.definition), version = s.version + 1,
                        updated_at = GREATEST(clock_timestamp(), s.updated_at)
                FROM subject s
                WHERE m.id = s.id AND NOT s.stale AND NOT s.in_use
                  AND (COALESCE(@Name, s.name), COALESCE(@Description, s.description), COALESCE(@Direction, s.direction),
                      COALESCE(@Definition::jsonb, s.definition), CASE WHEN @SetsMargin THEN @Margin ELSE s.margin END)
                      IS DISTINCT FROM (s.name, s.description, s.direction, s.definition, s.margin)
                RETURNING m.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT m.environment_id, @Actor, @RequestId, @Address,
                       'metric.updated', 'metric', m.id, s.state, {MetricView.State} FROM changed m, subject s
            ), now AS (
                SELECT id, name, description, aggregation, direction, margin, definition, version, created_by, created_at,
                    updated_at FROM changed
                UNION ALL
                SELECT id, name, description, aggregation, direction, margin, definition, version, created_by, created_at,
                    updated_at FROM subject
                WHERE NOT EXISTS (SELECT FROM changed)
            )
            SELECT s.stale, s.in_use, {MetricView.Columns} FROM now m, subject s
            """;

        // The definition is judged by the aggregation, which is read before; it never changes.
        private const string Aggregation =
            "SELECT aggregation AS text FROM metrics WHERE id = @Id AND environment_id = @EnvironmentId AND deleted_at IS NULL";

        public async Task<Result<MetricView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            if (body.Definition.Value is { } definition)
            {
                var aggregation = await db.Row<Word>(Aggregation, new { command.Id, command.Scope.EnvironmentId }, cancellationToken);
                var wrong = new List<(string, string)>();
                MetricRules.Check(aggregation?.Text, definition, (path, message) => wrong.Add((path, message)));
                if (aggregation is null || wrong.Count > 0)
                {
                    return aggregation is null ? Problem.NoMetric : ProblemResult.Fields(wrong);
                }
            }

            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Name = body.Name.Value?.Trim(),
                    Description = body.Description.Value?.Trim(),
                    Direction = body.Direction.Value,
                    SetsMargin = body.Margin.IsPresent,
                    Margin = body.Margin.Value,
                    Definition = body.Definition.Value is { } given ? MetricRules.Stored(given) : null,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoMetric,
                { Stale: true } => Problem.Stale,
                { InUse: true } => Problem.MetricInUse,
                _ => row,
            };
        }

        private sealed record Word(string Text);

        private sealed record Row : MetricView
        {
            public bool Stale { get; init; }

            public bool InUse { get; init; }
        }
    }
}
