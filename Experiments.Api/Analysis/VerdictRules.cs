using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Analysis;

/// <summary>The verdict on a treatment by one metric, from tests that are valid at any number of looks.</summary>
internal static class VerdictRules
{
    /// <param name="metric">The metric.</param>
    /// <param name="arm">The treatment compared with control.</param>
    /// <param name="adjusted">The p-values adjusted within the family, or null for a metric that is in none.</param>
    /// <param name="isGateOpen">Whether a secondary metric may win.</param>
    public static (Verdict Verdict, VerdictReason Reason) Of(
        MeasuredMetric metric,
        ComparedMetricArm arm,
        AdjustedPValues? adjusted,
        bool isGateOpen
    )
    {
        if (arm.Tests.IsContradictory)
        {
            return (Verdict.Inconclusive, VerdictReason.ContradictoryEvidence);
        }

        if (metric.IsGuardrail)
        {
            return Guard(arm);
        }

        if (adjusted?.Sequential < SequentialTests.Alpha)
        {
            return arm.Tests.PValue >= arm.PValue && arm.Share is { } share && share.PValueOfHarm < arm.Tests.PValue
                    ? (Verdict.Losing, VerdictReason.ShareWithValue)
                : arm.Tests.Worse < arm.Tests.Better ? (Verdict.Losing, VerdictReason.SignificantlyWorse)
                : metric.Role == MetricRole.Primary || isGateOpen ? (Verdict.Winning, VerdictReason.SignificantlyBetter)
                : (Verdict.Inconclusive, VerdictReason.PrimaryNotDecided);
        }

        return Waiting(arm) ?? (Verdict.Inconclusive, VerdictReason.NotSignificant);
    }

    // Worse by more than the margin, not worse by more than it, or neither yet.
    private static (Verdict Verdict, VerdictReason Reason) Guard(ComparedMetricArm arm) =>
        arm.Tests.Harmed < SequentialTests.Alpha ? (Verdict.Losing, VerdictReason.GuardrailHarmed)
        : arm.Share?.PValueOfHarm < SequentialTests.Alpha ? (Verdict.Losing, VerdictReason.ShareWithValue)
        : arm.Tests.Safe < SequentialTests.Alpha ? (Verdict.Inconclusive, VerdictReason.GuardrailSafe)
        : arm.Tests.Worse < SequentialTests.Alpha ? (Verdict.Inconclusive, VerdictReason.GuardrailWorse)
        : Waiting(arm) ?? (Verdict.Inconclusive, VerdictReason.GuardrailUnclear);

    // A comparison's reason is the verdict's.
    private static (Verdict, VerdictReason)? Waiting(ComparedMetricArm arm) =>
        arm.Reason is { } reason ? (Verdict.CollectingData, Words.Parse<VerdictReason>(Words.Of(reason))) : null;
}
