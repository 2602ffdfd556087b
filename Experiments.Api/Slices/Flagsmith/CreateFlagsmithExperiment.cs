using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Features;
using MediatR;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>Creates an experiment as Flagsmith's wizard does, with its rollout in terms of the ids of options.</summary>
internal static class CreateFlagsmithExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/",
                context =>
                    context
                        .Showing<ExperimentView>(FlagsmithCreatedExperiment.Of)
                        .Create<Body, ExperimentView>(body => new Command(context.Scope, body))
            )
            .WithOperation("flagsmithCreateExperiment", "Create an experiment on a multivariate feature")
            .HasBody<Body>(
                """
                {"feature": 1, "name": "Green button", "hypothesis": "A green button sells more.",
                 "metrics": [{"metric": 1, "expected_direction": "increase"}],
                 "experiment_rollout": {"enabled": false, "rollout_percentage": 100, "feature_state_value": {"type": "string",
                     "value": "blue"}, "multivariate_feature_state_values": [{"multivariate_feature_option": 1,
                     "percentage_allocation": 50}]}}
                """
            )
            .Returns<FlagsmithCreatedExperiment>(StatusCodes.Status201Created)
            .FailsWith(Problem.AlreadyActive);

    /// <summary>What the wizard sends.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body(
        [property: Must(Required = true)] long? Feature = null,
        [property: Must(Required = true, MaxLength = 255)] string? Name = null,
        [property: Must(Required = true, MaxLength = 10_000)] string? Hypothesis = null,
        IReadOnlyList<FlagsmithExperimentMetricBody?>? Metrics = null,
        FlagsmithRollout? ExperimentRollout = null
    );

    internal sealed record Command(CommandScope Scope, Body Body) : IRequest<Result<ExperimentView>>;

    /// <summary>An experiment as it is answered when it has been created or renamed: with the id of its feature only.</summary>
    [Example(
        """
            {"id": 1, "feature": 1, "name": "Green button", "hypothesis": "A green button sells more.", "status": "created",
             "created_at": "2026-11-22T12:00:00Z", "updated_at": "2026-11-22T12:00:00Z", "started_at": null, "ended_at": null}
            """
    )]
    internal sealed record FlagsmithCreatedExperiment(
        long Id,
        long Feature,
        string Name,
        string Hypothesis,
        ExperimentStatus Status,
        DateTime CreatedAt,
        DateTime UpdatedAt,
        DateTime? StartedAt,
        DateTime? EndedAt
    )
    {
        public static FlagsmithCreatedExperiment Of(ExperimentView experiment) =>
            new(
                experiment.Id,
                StoredJson.Read<ExperimentFeature>(experiment.Feature.Text).Id,
                experiment.Name,
                experiment.Hypothesis,
                experiment.Status,
                experiment.CreatedAt,
                experiment.UpdatedAt,
                experiment.StartedAt,
                experiment.EndedAt
            );
    }

    internal sealed class Handler(IMediator mediator) : IRequestHandler<Command, Result<ExperimentView>>
    {
        private const string Rollout = "experiment_rollout.";

        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var body = command.Body;
            IReadOnlyList<VariantBody?>? variants = null;
            if (body is { Feature: { } id, ExperimentRollout: { } rollout })
            {
                var found = await mediator.Send(new GetFeature.Query(command.Scope.EnvironmentId, id), cancellationToken);
                // Whatever is wrong with the feature, creating says.
                if (found.Value is { } feature)
                {
                    var wrong = new List<(string Path, string Message)>();
                    var options = StoredJson.Read<List<FeatureOption>>(feature.MultivariateOptions.Text);
                    FlagsmithSplit.Check(Rollout, rollout.FeatureStateValue, JsonElement.Parse(feature.InitialValue.Text), wrong);
                    var shares = FlagsmithSplit.Of(Rollout, rollout.MultivariateFeatureStateValues ?? [], options, _ => 0, wrong);
                    if (wrong.Count > 0)
                    {
                        return ProblemResult.Fields(wrong);
                    }

                    variants = [.. shares!.Select(share => new VariantBody(share.Key, share.Weight))];
                }
            }

            return await mediator.Send(
                new CreateExperiment.Command(
                    command.Scope,
                    new CreateExperiment.Body(
                        body.Name,
                        body.Hypothesis,
                        Feature: body.Feature is { } known ? new FeatureChoice(known, null) : null,
                        RolloutPercentage: body.ExperimentRollout?.RolloutPercentage,
                        Variants: variants is { Count: > 1 } ? variants : null,
                        Metrics: body.Metrics is null
                            ? null
                            : [.. body.Metrics.Select(metric => new AttachedMetricBody(metric?.Metric, null, metric?.ExpectedDirection))]
                    )
                ),
                cancellationToken
            );
        }
    }
}
