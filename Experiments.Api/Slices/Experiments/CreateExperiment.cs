using Experiments.Api.Aggregation;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Declares an experiment on a multivariate feature that has no other one going on.</summary>
internal static class CreateExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost("/", context => context.Create<Body, ExperimentView>(body => new Command(context.Scope, body)))
            .WithOperation("createExperiment", "Create an experiment on an existing feature, or together with a new one")
            .HasBody<Body>(
                """{"name": "Green button", "hypothesis": "A green button sells more.", "feature": 1, "rollout_percentage": 50}"""
            )
            .Returns<ExperimentView>(StatusCodes.Status201Created)
            .FailsWith(Problem.AlreadyActive, Problem.FeatureNameTaken);

    internal sealed record Body(
        string? Name = null,
        string? Hypothesis = null,
        string? Description = null,
        [property: Must(Default = "product")] string? Type = null,
        FeatureChoice? Feature = null,
        [property: Must(Default = 100)] decimal? RolloutPercentage = null,
        IReadOnlyList<VariantBody?>? Variants = null,
        IReadOnlyList<AttachedMetricBody?>? Metrics = null,
        long? Holdout = null,
        ExposureCriteria? Exposure = null,
        [property: Must(MaxItems = 3)] IReadOnlyList<string?>? Breakdowns = null,
        [property: Must(Default = false)] bool? Aa = null,
        UnitBody? Unit = null,
        [property: Must(Default = "native")] string? Hashing = null,
        ExperimentSource? Source = null
    )
    {
        [Must(MinItems = 1, MaxItems = 11)]
        public IReadOnlyList<VariantBody?>? Variants { get; init; } = VariantBody.WithControl(Variants);
    }

    internal sealed record Command(CommandScope Scope, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Hypothesis).Required(10_000);
            RuleFor(c => c.Body.Description).MaxCharacters(10_000);
            RuleFor(c => c.Body.Type).OneOf("product", "web");
            RuleFor(c => c.Body.Hashing).OneOf(ExperimentRules.Hashings);
            RuleFor(c => c.Body.Feature).NotNull().WithMessage("This is required: the id of a multivariate feature, or one to be made.");
            RuleFor(c => c.Body.Feature!.New!.Name)
                .Required(255)
                .OverridePropertyName("feature.name")
                .When(c => c.Body.Feature?.New != null);
            RuleFor(c => c.Body.RolloutPercentage).InclusiveBetween(0, 100).WithMessage("This must be from 0 to 100.");
            RuleFor(c => c.Body)
                .Custom(
                    (body, context) =>
                    {
                        var isWeb = body.Type == "web";
                        VariantBody.Check("variants", body.Variants, isWeb, setsValues: false, context.AddFailure);
                        VariantBody.Check("feature.variants", body.Feature?.New?.Variants, isWeb, setsValues: true, context.AddFailure);
                        FeatureChoice.Check(body.Feature, body.Variants, context.AddFailure);
                        ExperimentRules.CheckExposure(body.Exposure, context.AddFailure);
                        ExperimentRules.CheckBreakdowns(body.Breakdowns, context.AddFailure);
                        UnitBody.Check(body.Unit, context.AddFailure);
                        ExperimentRules.CheckHashing(body.Hashing, body.Holdout, body.Unit, context.AddFailure);
                        ExperimentSource.Check(body.Source, body.Holdout, body.Hashing, body.Exposure, context.AddFailure);
                    }
                );
            RuleFor(c => c.Body.Metrics).Custom((metrics, context) => AttachedMetricBody.Check(metrics, context.AddFailure));
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        // A refusal leaves nothing behind: a feature is made only where the experiment is.
        private const string Sql = $"""
            WITH asked AS (
                SELECT * FROM jsonb_to_recordset(COALESCE(@Metrics::jsonb, '[]')) AS a(metric bigint, role text, expected_direction text,
                    margin double precision, metadata jsonb)
            ), metric AS (
                SELECT m.id, m.environment_id, m.name, m.aggregation, m.direction, m.definition, a.role, a.metadata,
                    COALESCE(a.expected_direction, expected_direction_of(m.direction, a.role)) AS expected_direction,
                    COALESCE(a.margin, m.margin, @DefaultMargin) AS margin, CASE WHEN a.role = 'primary' THEN 0 ELSE m.id END AS ordinal
                FROM asked a JOIN metrics m ON m.id = a.metric
                WHERE m.environment_id = @EnvironmentId AND m.deleted_at IS NULL FOR SHARE OF m
            ), {ExperimentSource.Found}, {FeatureChoice.Flag}, created AS (
                INSERT INTO experiments AS e
                    (environment_id, feature_id, name, hypothesis, description, type, rollout_percentage, variants, transforms, holdout_id,
                        exposure, breakdowns, aa, unit_key, hashing, connection_id, source, created_by)
                SELECT f.environment_id, f.id, @Name, @Hypothesis, @Description, @Type, @Rollout,
                       variants_of(f.initial_value, f.multivariate_options, @Weights::jsonb), @Transforms::jsonb,
                           (SELECT id FROM holdout WHERE @Source::text IS NULL), @Exposure::jsonb, @Breakdowns, @Aa, @Unit, @Hashing,
                       @Connection, @Source::jsonb, @Actor
                FROM flag f
                CROSS JOIN found
                WHERE f.multivariate AND f.split_fits AND found.has_metrics AND found.has_holdout
                    AND (@Connection::bigint IS NULL OR EXISTS (SELECT FROM warehouse))
                ON CONFLICT (environment_id, feature_id) WHERE status <> 'completed' AND deleted_at IS NULL DO NOTHING
                RETURNING e.*, {ExperimentView.State} AS after
            ), {ExperimentMetricView.Attached}, links AS (
                SELECT jsonb_agg({ExperimentMetricView.State} ORDER BY l.id) AS metrics FROM attached l
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT environment_id, @Actor, @RequestId, @Address, 'feature.created', 'feature', id, after FROM made
                UNION ALL
                SELECT environment_id, @Actor, @RequestId, @Address, 'experiment.created', 'experiment', id,
                    after || jsonb_strip_nulls(jsonb_build_object('metrics', metrics))
                FROM created, links
            )
            SELECT f.id AS feature_id, COALESCE(f.multivariate, false) AS multivariate, COALESCE(f.split_fits, false) AS split_fits,
                found.has_holdout, @Connection::bigint IS NULL OR EXISTS (SELECT FROM warehouse) AS has_connection,
                   ARRAY(SELECT metric FROM asked WHERE metric NOT IN (SELECT id FROM metric)) AS unknown_metrics,
                   ARRAY(SELECT id FROM metric WHERE NOT directions_agree(direction, expected_direction)) AS contradicted_metrics,
                   {ExperimentView.ColumnsButMetrics}, (SELECT COALESCE(metrics, '[]')::text FROM links) AS metrics
            FROM found
            LEFT JOIN flag f ON true
            LEFT JOIN created e ON true
            """;

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var made = body.Feature!.New is { } named ? named with { Variants = named.Variants ?? VariantBody.Default } : null;
            var variants = made?.Variants ?? body.Variants;
            var (isGiven, controlValue) = VariantBody.ControlValue(made?.Variants);
            var row = await db.Change<Row>(
                Sql,
                new
                {
                    command.Scope,
                    Name = body.Name!.Trim(),
                    Hypothesis = body.Hypothesis!.Trim(),
                    Description = body.Description?.Trim() ?? "",
                    Type = body.Type ?? "product",
                    Feature = body.Feature.Id,
                    FeatureName = made?.Name!.Trim(),
                    FeatureValue = isGiven ? controlValue : "\"control\"",
                    FeatureOptions = VariantBody.Options(made?.Variants),
                    Rollout = body.RolloutPercentage ?? 100,
                    Weights = VariantBody.Weights(variants),
                    Transforms = VariantBody.Changes(variants) ?? "{}",
                    body.Holdout,
                    Exposure = ExperimentRules.Stored(body.Exposure) ?? "{}",
                    Breakdowns = ExperimentRules.Stored(body.Breakdowns) ?? [],
                    Aa = body.Aa is true,
                    Unit = UnitBody.Stored(body.Unit),
                    Hashing = body.Hashing ?? "native",
                    body.Source?.Connection,
                    Source = ExperimentSource.Stored(body.Source),
                    Metrics = AttachedMetricBody.WithRoles(body.Metrics),
                    MetricRules.DefaultMargin,
                },
                cancellationToken
            );

            return row switch
            {
                { UnknownMetrics: [var metric, ..] } => ProblemResult.Field(
                    $"metrics[{IndexOf(metric)}].metric",
                    "This environment has no metric with this id."
                ),
                { ContradictedMetrics: [var metric, ..] } => ProblemResult.Field(
                    $"metrics[{IndexOf(metric)}].expected_direction",
                    MetricRules.Contradicts
                ),
                { HasHoldout: false } => ExperimentRules.NoHoldout("holdout"),
                { HasConnection: false } => ExperimentSource.NoConnection,
                { FeatureId: null } => made is null
                    ? ProblemResult.Field("feature", "This environment has no feature with this id.")
                    : Problem.FeatureNameTaken,
                { Multivariate: false } => made is null
                    ? ProblemResult.Field("feature", "This feature has no options. Add some, so that there is something to compare.")
                    : ProblemResult.Field(
                        "feature.variants",
                        "There must be another variant besides 'control', so that there is something to compare."
                    ),
                { SplitFits: false } => ProblemResult.Field("variants", "These must be 'control' and each option of the feature, once."),
                { Id: 0 } => Problem.AlreadyActive,
                _ => row!,
            };

            int IndexOf(long metric) => body.Metrics!.Index().First(asked => asked.Item!.Metric == metric).Index;
        }

        private sealed record Row : ExperimentView
        {
            public long? FeatureId { get; init; }

            public bool HasHoldout { get; init; }

            public bool HasConnection { get; init; }

            public bool Multivariate { get; init; }

            public bool SplitFits { get; init; }

            public long[] UnknownMetrics { get; init; } = [];

            public long[] ContradictedMetrics { get; init; } = [];
        }
    }
}
