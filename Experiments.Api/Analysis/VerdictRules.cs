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
        if (metric.IsGuardrail)
        {
            return Guard(arm, metric.Role == MetricRole.Primary ? adjusted?.Safe ?? 1 : arm.Tests.Safe);
        }

        if (arm.Tests.IsContradictory)
        {
            return (Verdict.Inconclusive, VerdictReason.ContradictoryEvidence);
        }

        if (adjusted?.Sequential < SequentialTests.Alpha)
        {
            // What was found for one direction says nothing of an effect that now points to the other.
            return arm.Tests.PValue > arm.PValueOfHarm ? (Verdict.Losing, VerdictReason.ShareWithValue)
                : arm.HasReversed ? (Verdict.Inconclusive, VerdictReason.EffectChanged)
                : arm.Tests.Worse < arm.Tests.Better ? (Verdict.Losing, VerdictReason.SignificantlyWorse)
                : metric.Role == MetricRole.Primary || isGateOpen ? (Verdict.Winning, VerdictReason.SignificantlyBetter)
                : (Verdict.Inconclusive, VerdictReason.PrimaryNotDecided);
        }

        return Waiting(arm) ?? (Verdict.Inconclusive, VerdictReason.NotSignificant);
    }

    // Worse by more than the margin, not worse by more than it, or neither yet. Harm comes first, whatever was found before.
    private static (Verdict Verdict, VerdictReason Reason) Guard(ComparedMetricArm arm, double safe) =>
        arm.Tests.Harmed < SequentialTests.Alpha ? (Verdict.Losing, VerdictReason.GuardrailHarmed)
        : arm.PValueOfHarm < SequentialTests.Alpha && arm.Tests.Better >= SequentialTests.Alpha
            ? (Verdict.Losing, VerdictReason.ShareWithValue)
        : safe < SequentialTests.Alpha
            ? (
                Verdict.Inconclusive,
                arm.Tests.Worse < SequentialTests.Alpha ? VerdictReason.GuardrailWithinMargin : VerdictReason.GuardrailSafe
            )
        : arm.Tests.Worse < SequentialTests.Alpha ? (Verdict.Inconclusive, VerdictReason.GuardrailWorse)
        : Waiting(arm) ?? (Verdict.Inconclusive, VerdictReason.GuardrailUnclear);

    // A comparison's reason is the verdict's.
    private static (Verdict, VerdictReason)? Waiting(ComparedMetricArm arm) =>
        arm.Reason is { } reason ? (Verdict.CollectingData, Words.Parse<VerdictReason>(Words.Of(reason))) : null;
}
