using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>Turns Flagsmith's allocations, by the ids of options and with the rest for control, into the weights of variants.</summary>
internal static class FlagsmithSplit
{
    private const string Allocations = "multivariate_feature_state_values";

    /// <summary>What is wrong with what control is to serve; nothing if it is what it serves.</summary>
    public static void Check(string path, FlagsmithTypedValue? value, JsonElement? control, List<(string, string)> wrong)
    {
        if (value is not null && value != FlagsmithTypedValue.Of(control))
        {
            wrong.Add(($"{path}feature_state_value", "Control serves the feature's own value. Change that first."));
        }
    }

    /// <summary>The weights, control first; null if something is wrong.</summary>
    /// <param name="path">Where the allocations stand.</param>
    /// <param name="given">The allocations.</param>
    /// <param name="options">The options of the feature.</param>
    /// <param name="before">The weights of options that are not given.</param>
    /// <param name="wrong">What is wrong.</param>
    public static List<FlagsmithShare>? Of(
        string path,
        IReadOnlyList<FlagsmithAllocation?> given,
        IReadOnlyList<FeatureOption> options,
        Func<string, decimal> before,
        List<(string Path, string Message)> wrong
    )
    {
        var known = wrong.Count;
        var shares = options.ToDictionary(option => option.Id, option => before(option.Key));
        var seen = new HashSet<long>();
        foreach (var (index, allocation) in given.Index())
        {
            var item = $"{path}{Allocations}[{index}]";
            if (allocation?.MultivariateFeatureOption is not { } option || !shares.ContainsKey(option) || !seen.Add(option))
            {
                wrong.Add(($"{item}.multivariate_feature_option", "This must be the id of an option of the feature, given once."));
            }
            else if (allocation.PercentageAllocation is not (>= 0 and <= 100))
            {
                wrong.Add(($"{item}.percentage_allocation", "This is required and must be from 0 to 100."));
            }
            else
            {
                shares[option] = allocation.PercentageAllocation.Value;
            }
        }

        var total = shares.Values.Sum();
        if (total > 100)
        {
            wrong.Add(($"{path}{Allocations}", $"Multivariate allocations must not exceed 100 %, and these are {total} %."));
        }

        return wrong.Count > known
            ? null
            : [new(Slug.Control, 100 - total), .. options.Select(option => new FlagsmithShare(option.Key, shares[option.Id]))];
    }
}

/// <summary>The weight of a variant.</summary>
internal sealed record FlagsmithShare(string Key, decimal Weight);
