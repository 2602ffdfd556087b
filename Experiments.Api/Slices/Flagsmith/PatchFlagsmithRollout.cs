using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Features;
using MediatR;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>
/// Replaces the rollout of an experiment as Flagsmith's front end does: its percentage, before the first start its split, and after that
/// whether its feature is enabled.
/// </summary>
internal static class PatchFlagsmithRollout
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPatch(
                "/{id}/rollout",
                context =>
                    context
                        .Showing<ExperimentView>(FlagsmithExperiment.Of)
                        .Patch<Body, ExperimentView>(body => new Command(context.Scope, context.Id, body))
            )
            .WithOperation("flagsmithPatchRollout", "Replace the rollout of an experiment")
            .HasBody<Body>(
                """
                {"enabled": true, "rollout_percentage": 50, "feature_state_value": {"type": "string", "value": "blue"},
                 "multivariate_feature_state_values": [{"multivariate_feature_option": 1, "percentage_allocation": 50}]}
                """
            )
            .Returns<FlagsmithExperiment>()
            .FailsWith(Problem.NoExperiment, Problem.SplitFrozen, Problem.ExperimentOver);

    /// <summary>What the front end sends.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body(
        bool? Enabled = null,
        [property: Must(Required = true, Minimum = 0, Maximum = 100)] decimal? RolloutPercentage = null,
        FlagsmithTypedValue? FeatureStateValue = null,
        IReadOnlyList<FlagsmithAllocation?>? MultivariateFeatureStateValues = null
    );

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Handler(IMediator mediator) : IRequestHandler<Command, Result<ExperimentView>>
    {
        public async Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var (scope, body) = (command.Scope, command.Body);
            var found = await mediator.Send(new GetExperiment.Query(scope.EnvironmentId, command.Id), cancellationToken);
            if (found.Value is not { } experiment)
            {
                return found;
            }

            var feature = StoredJson.Read<ExperimentFeature>(experiment.Feature.Text);
            var variants = StoredJson.Read<List<Variant>>(experiment.Variants.Text);
            var wrong = new List<(string Path, string Message)>();
            FlagsmithSplit.Check("", body.FeatureStateValue, variants[0].Value, wrong);
            // Options that are not given keep what they have.
            var shares = body.MultivariateFeatureStateValues is { } given
                ? FlagsmithSplit.Of(
                    "",
                    given,
                    feature.MultivariateOptions,
                    key => variants.FirstOrDefault(variant => variant.Key == key)?.Weight ?? 0,
                    wrong
                )
                : null;
            if (wrong.Count > 0)
            {
                return ProblemResult.Fields(wrong);
            }

            var changed = await mediator.Send(
                new PatchRollout.Command(
                    scope,
                    command.Id,
                    new PatchRollout.Body(
                        body.RolloutPercentage,
                        shares?.ConvertAll(share => new PatchRollout.RolloutShare(share.Key, share.Weight))
                    )
                ),
                cancellationToken
            );
            if (
                changed.Value is null
                || body.Enabled is not { } enabled
                || enabled == feature.Enabled
                || experiment.Status is not (ExperimentStatus.Running or ExperimentStatus.Paused)
            )
            {
                return changed;
            }

            var switched = await mediator.Send(
                new PatchFeature.Command(scope with { IfMatch = null }, feature.Id, new PatchFeature.Body { Enabled = new(enabled) }),
                cancellationToken
            );
            return switched.Failure is { } refused
                ? refused
                : await mediator.Send(new GetExperiment.Query(scope.EnvironmentId, command.Id), cancellationToken);
        }
    }
}
