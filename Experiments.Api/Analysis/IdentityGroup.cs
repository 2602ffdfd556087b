using System.Text.Json.Serialization;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>A group of identities, with the sums of each arm.</summary>
/// <param name="Level">What its identities have in common; null for those of the rest and for those that have no level.</param>
/// <param name="IsRest">Whether these are all that have a level but are not shown by it.</param>
/// <param name="Arms">The sums, by the index of the variant.</param>
internal sealed record IdentityGroup(string? Level, bool IsRest, IReadOnlyList<SufficientStatistics> Arms)
{
    public double N => Arms.Sum(arm => arm.N);

    /// <summary>Compares the arms within each group, and corrects the p-values for how many groups and treatments there are.</summary>
    public static List<GroupResult> Compare(IReadOnlyList<IdentityGroup> groups, MeasuredMetric metric, ResultsInput input)
    {
        // Every group is compared as it is, without the covariate and without what earlier looks at the whole have found.
        var plain = metric with
        {
            Definition = metric.Definition with { LookbackDays = null },
        };
        var weights = input.Variants.Select(variant => (double)variant.Weight).ToList();
        var compared = groups
            .Select(group =>
                Enumerable
                    .Range(1, weights.Count - 1)
                    .Select(index =>
                    {
                        var arm = ComparedMetricArm.Of(
                            plain,
                            group.Arms[0],
                            group.Arms[index],
                            weights[index] / (weights[0] + weights[index]),
                            ArmEvidence.None
                        );
                        return (
                            Arm: arm,
                            Shown: ShownEffect.Of(plain, arm, input.Variants[index].Key),
                            input.Variants[index].Key,
                            Weight: weights[index]
                        );
                    })
                    .ToList()
            )
            .ToList();
        // As in the families of the whole, a treatment without weight is no member, and what cannot be tested yet counts as 1.
        var adjusted = new Queue<double>(
            Adjustment.BenjaminiHochberg([
                .. compared.SelectMany(arms => arms).Where(arm => arm.Weight > 0).Select(arm => arm.Shown.Sequential?.PValue ?? 1),
            ])
        );
        return
        [
            .. groups.Zip(
                compared,
                (group, arms) =>
                    new GroupResult(
                        group.Level,
                        [
                            .. group.Arms.Select(
                                (arm, index) =>
                                    GroupArm.Of(
                                        input.Variants[index].Key,
                                        arm,
                                        metric.Layout.D is not null,
                                        Comparison.UnitOf(arm, metric.Kind)
                                    )
                            ),
                        ],
                        [.. arms.Select(arm => GroupTreatment.Of(arm.Key, arm.Arm, arm.Shown, Adjusted(arm.Weight, arm.Shown)))]
                    )
            ),
        ];

        // Each in its turn, in the order of the family.
        double? Adjusted(double weight, ShownEffect shown)
        {
            var p = weight > 0 ? adjusted.Dequeue() : (double?)null;
            return shown.Sequential is null ? null : p;
        }
    }
}

/// <summary>The results of one group of identities.</summary>
/// <param name="Level">What its identities have in common; null for the rest and for those without a level.</param>
/// <param name="Arms">The sums by variant, control first. Those of all groups add up to the whole.</param>
/// <param name="Treatments">Each treatment compared with control within the group.</param>
internal sealed record GroupResult(string? Level, IReadOnlyList<GroupArm> Arms, IReadOnlyList<GroupTreatment> Treatments);

/// <summary>One variant within a group: its identities, their sum and their mean, and of a ratio the sum of the denominators.</summary>
internal sealed record GroupArm(
    string Key,
    long N,
    double Sum,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? DenominatorSum,
    double? Mean
)
{
    public static GroupArm Of(string key, SufficientStatistics arm, bool hasDenominator, SampleMoments unit) =>
        new(
            key,
            (long)arm.N,
            arm.Sum,
            hasDenominator ? arm.DenominatorSum : null,
            arm.N > 0 && double.IsFinite(unit.Mean) ? unit.Mean : null
        );
}

/// <summary>A treatment compared with control within a group.</summary>
/// <param name="Key">The key of the variant.</param>
/// <param name="Effect">The difference relative to control's mean.</param>
/// <param name="Difference">The difference of the means, in units of the metric.</param>
/// <param name="StandardError">The standard error of the difference.</param>
/// <param name="Ci">The 95 % interval of the effect for a single look.</param>
/// <param name="Sequential">The test that is valid at any number of looks, for this group alone.</param>
/// <param name="AdjustedPValue">Its p-value after the correction by Benjamini and Hochberg over all groups and treatments.</param>
/// <param name="Missing">What is still missing before the means can be compared.</param>
internal sealed record GroupTreatment(
    string Key,
    double? Effect,
    double? Difference,
    double? StandardError,
    IReadOnlyList<double?>? Ci,
    SequentialView? Sequential,
    double? AdjustedPValue,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] Floor? Missing
)
{
    public static GroupTreatment Of(string key, ComparedMetricArm arm, ShownEffect shown, double? adjusted) =>
        new(
            key,
            shown.Effect,
            shown.Difference,
            shown.View?.StandardError,
            shown.View?.Frequentist?.Ci,
            shown.Sequential,
            adjusted,
            arm.Floor
        );
}
