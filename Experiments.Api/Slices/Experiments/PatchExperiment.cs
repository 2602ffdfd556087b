using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Features;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Changes what an experiment says of itself and, before its first start, what it compares. Its status changes elsewhere.
/// </summary>
internal static class PatchExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPatch("/{id}", context => context.Patch<Body, ExperimentView>(body => new Command(context.Scope, context.Id, body)))
            .WithOperation("patchExperiment", "Update or archive an experiment; before the first start, also what it compares")
            .HasBody<Body>("""{"name": "Greener button", "archived": false}""")
            .Returns<ExperimentView>()
            .FailsWith(Problem.NoExperiment, Problem.Stale, Problem.ExperimentRunning, Problem.SettingsFrozen, Problem.FeatureLocked);

    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        public Optional<string> Hypothesis { get; init; }

        public Optional<string> Description { get; init; }
        public Optional<bool?> Archived { get; init; }

        /// <summary>All of them, with their weights; the feature follows.</summary>
        public Optional<IReadOnlyList<VariantBody?>> Variants
        {
            get;
            init => field = value.Value is null ? value : new(VariantBody.WithControl(value.Value));
        }

        public Optional<long?> Holdout { get; init; }

        public Optional<ExposureCriteria> Exposure { get; init; }

        [Must(MaxItems = 3)]
        public Optional<IReadOnlyList<string?>> Breakdowns { get; init; }

        public Optional<UnitBody?> Unit { get; init; }

        public Optional<bool?> Aa { get; init; }

        public Optional<ExperimentSource?> Source { get; init; }
    }

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Hypothesis).RequiredIfPresent(10_000);
            RuleFor(c => c.Body.Description).NotNullIfPresent();
            RuleFor(c => c.Body.Description.Value).MaxCharacters(10_000).OverridePropertyName("description");
            RuleFor(c => c.Body.Archived).NotNullIfPresent();
            RuleFor(c => c.Body.Aa).NotNullIfPresent();
            RuleFor(c => c.Body.Variants).NotNullIfPresent();
            RuleFor(c => c.Body.Exposure).NotNullIfPresent();
            RuleFor(c => c.Body.Breakdowns).NotNullIfPresent();
            RuleFor(c => c.Body)
                .Custom(
                    (body, context) =>
                    {
                        // Only the database knows whether it is a web experiment.
                        VariantBody.Check("variants", body.Variants.Value, isWeb: true, setsValues: true, context.AddFailure);
                        ExperimentRules.CheckExposure(body.Exposure.Value, context.AddFailure);
                        ExperimentRules.CheckBreakdowns(body.Breakdowns.Value, context.AddFailure);
                        UnitBody.Check(body.Unit.Value, context.AddFailure);
                        ExperimentSource.Check(body.Source.Value, context.AddFailure);
                    }
                );
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<ExperimentView>>
    {
        // An unchanged value is not written and not audited. The feature's options follow the variants, and drafts elsewhere the options.
        private const string Sql = $"""
            {FeatureRedefinition.Lock}

            {ExperimentMutation.Found}, holdout AS (
                SELECT id FROM holdouts WHERE id = @Holdout AND environment_id = @EnvironmentId AND retired_at IS NULL FOR SHARE
            ), {ExperimentSource.Found}, {ExperimentSettings.Wanted},
            {FeatureRedefinition.Elsewhere}, {ExperimentSettings.Allowed}, changed AS (
                UPDATE experiments e SET
                    name = COALESCE(@Name, s.name), hypothesis = COALESCE(@Hypothesis, s.hypothesis),
                    description = COALESCE(@Description, s.description), archived = COALESCE(@Archived, s.archived),
                    variants = w.variants, transforms = w.transforms, exposure = w.exposure, breakdowns = w.breakdowns, aa = w.aa,
                    unit_key = w.unit_key, holdout_id = w.holdout_id, connection_id = w.connection_id,
                    source = w.source, version = e.version + 1, updated_at = v.at
                FROM subject s
                CROSS JOIN verdict v
                CROSS JOIN wanted w
                CROSS JOIN allowed a
                WHERE e.id = s.id AND NOT v.stale AND NOT (s.status = 'running' AND @Archived IS TRUE) AND a.has_holdout AND a.is_web
                    AND a.has_connection AND a.can_have_source
                    AND NOT a.frozen AND NOT a.forbidden AND cardinality(a.locked_in) = 0
                  AND (COALESCE(@Name, s.name), COALESCE(@Hypothesis, s.hypothesis), COALESCE(@Description, s.description),
                       COALESCE(@Archived, s.archived), w.variants, w.transforms, w.exposure, w.breakdowns, w.holdout_id, w.aa,
                           w.unit_key, w.connection_id, w.source)
                      IS DISTINCT FROM (s.name, s.hypothesis, s.description, s.archived, s.variants, s.transforms, s.exposure, s.breakdowns,
                          s.holdout_id, s.aa, s.unit_key, s.connection_id, s.source)
                RETURNING e.*, {ExperimentView.State} AS state
            ), {ExperimentSettings.Invalidated}, {FeatureRedefinition.Written}, {ExperimentMutation.LoggedWithServed}
            SELECT v.before, v.stale, a.*, EXISTS (SELECT FROM changed) AS changed, {ExperimentView.Columns}
            FROM verdict v
            CROSS JOIN allowed a
            CROSS JOIN (SELECT * FROM changed UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM changed)) e
            CROSS JOIN (SELECT * FROM served UNION ALL SELECT * FROM flag WHERE NOT EXISTS (SELECT FROM served)) f
            """;

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            var variants = body.Variants.Value;
            var (setsControl, controlValue) = VariantBody.ControlValue(variants);
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Action = "experiment.updated",
                    Name = body.Name.Value?.Trim(),
                    Hypothesis = body.Hypothesis.Value?.Trim(),
                    Description = body.Description.Value?.Trim(),
                    Archived = body.Archived.Value,
                    Weights = VariantBody.Weights(variants),
                    Options = VariantBody.Options(variants),
                    SetsControl = setsControl,
                    ControlValue = controlValue,
                    Transforms = VariantBody.Changes(variants),
                    Exposure = ExperimentRules.Stored(body.Exposure.Value),
                    Breakdowns = ExperimentRules.Stored(body.Breakdowns.Value),
                    Aa = body.Aa.Value,
                    SetsUnit = body.Unit.IsPresent,
                    Unit = UnitBody.Stored(body.Unit.Value),
                    SetsHoldout = body.Holdout.IsPresent,
                    Holdout = body.Holdout.Value,
                    SetsSource = body.Source.IsPresent,
                    body.Source.Value?.Connection,
                    Source = ExperimentSource.Stored(body.Source.Value),
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoExperiment,
                { Forbidden: true } => FeatureView.NotDefined,
                { HasHoldout: false } => ExperimentRules.NoHoldout(body.Holdout.IsPresent ? "holdout" : "unit"),
                { HasConnection: false } => ExperimentSource.NoConnection,
                { CanHaveSource: false } => ProblemResult.Field(
                    body.Source.Value is not null ? "source"
                        : body.Holdout.IsPresent ? "holdout"
                        : "exposure.event",
                    ExperimentSource.Excludes
                ),
                { IsWeb: false } => ProblemResult.Field(
                    $"variants[{variants!.Index().First(variant => variant.Item!.Transforms is { Count: > 0 }).Index}].transforms",
                    VariantBody.OnlyOfTheWeb
                ),
                { Stale: true } => Problem.Stale,
                { LockedIn: [_, ..] } => FeatureView.Elsewhere(Problem.FeatureLocked, row.LockedIn),
                { Before: ExperimentStatus.Running } when body.Archived.Value is true => Problem.ExperimentRunning,
                { Frozen: true } => Problem.SettingsFrozen,
                _ => row,
            };
        }

        private sealed record Row : ExperimentView
        {
            public ExperimentStatus Before { get; init; }

            public bool Stale { get; init; }

            public bool Forbidden { get; init; }

            public string[] LockedIn { get; init; } = [];

            public bool HasHoldout { get; init; }

            public bool HasConnection { get; init; }

            public bool CanHaveSource { get; init; }

            public bool IsWeb { get; init; }

            public bool Frozen { get; init; }
        }
    }
}
