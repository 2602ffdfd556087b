using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>Turns Flagsmith's allocations, by the ids of options and with the rest for control, into the weights of variants.</summary>
internal static class FlagsmithSplit
{
    /// <summary>The weights, control first, or what is wrong with the rollout.</summary>
    /// <param name="rollout">The rollout.</param>
    /// <param name="options">The options of the feature.</param>
    /// <param name="feature">The feature, if its value must be the rollout's.</param>
    public static Result<List<FlagsmithShare>> Of(FlagsmithRollout rollout, IReadOnlyList<FeatureOption> options, FeatureView? feature)
    {
        var given = (rollout.MultivariateFeatureStateValues ?? []).ToList();
        if (given.DistinctBy(allocation => allocation.MultivariateFeatureOption).Count() != given.Count)
        {
            return Wrong("multivariate_feature_state_values", "Multivariate options must be unique.");
        }

        if (given.FirstOrDefault(one => options.All(option => option.Id != one.MultivariateFeatureOption)) is not null)
        {
            return Wrong("multivariate_feature_state_values", "Each must name an option of the feature by its id.");
        }

        if (
            feature is not null
            && rollout.FeatureStateValue?.Value is { } value
            && value != FlagsmithTypedValue.Of(JsonElement.Parse(feature.InitialValue.Text)).Value
        )
        {
            return Wrong("feature_state_value", "Control serves the feature's own value. Change that first.");
        }

        var shares = options
            .Select(option => new FlagsmithShare(
                option.Key,
                given.FirstOrDefault(one => one.MultivariateFeatureOption == option.Id)?.PercentageAllocation ?? 0
            ))
            .ToList();
        var total = shares.Sum(share => share.Weight);
        return total > 100
            ? Wrong("multivariate_feature_state_values", $"Multivariate allocations must not exceed 100 %, and these are {total} %.")
            : (List<FlagsmithShare>)[new(Slug.Control, 100 - total), .. shares];
    }

    private static ProblemResult Wrong(string field, string message) => ProblemResult.Field($"experiment_rollout.{field}", message);
}

/// <summary>The weight of a variant.</summary>
internal sealed record FlagsmithShare(string Key, decimal Weight);
