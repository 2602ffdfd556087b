using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Analysis;

/// <summary>What to do with an experiment, from the verdicts on its primary metric and its guardrails.</summary>
internal static class Recommendation
{
    /// <param name="metrics">Every metric with its verdicts.</param>
    /// <param name="isBroken">Whether the sample ratio is not the configured one.</param>
    /// <param name="served">The variants that can be shipped: those with a weight.</param>
    public static (string Recommendation, IReadOnlyList<VerdictReason> Reasons) Of(
        List<MetricResult> metrics,
        bool isBroken,
        HashSet<string> served
    )
    {
        if (isBroken)
        {
            return ("fix_the_experiment", [VerdictReason.SampleRatioMismatch]);
        }

        if (metrics.FirstOrDefault(metric => metric.Role == MetricRole.Primary) is not { } primary)
        {
            return ("keep_running", [VerdictReason.NoPrimaryMetric]);
        }

        var harmed = metrics
            .Where(metric => metric.Role == MetricRole.Guardrail)
            .SelectMany(metric => metric.Treatments)
            .Where(arm => arm.Verdict == Verdict.Losing)
            .Select(arm => arm.Key)
            .ToHashSet();
        var lost = metrics
            .Where(metric => metric.Role == MetricRole.Guardrail)
            .SelectMany(metric => metric.Treatments)
            .Where(arm => arm.Reason == VerdictReason.ShareWithValue)
            .Select(arm => arm.Key)
            .ToHashSet();
        // A guardrail without a verdict yet may be the one that is harmed.
        var unknown = metrics
            .Where(metric => metric.Role == MetricRole.Guardrail)
            .SelectMany(metric => metric.Treatments)
            .Where(arm => arm.Verdict is Verdict.CollectingData or Verdict.Invalid)
            .Select(arm => arm.Key)
            .ToHashSet();
        var treatments = primary.Treatments.Where(arm => served.Contains(arm.Key)).ToList();
        var winners = treatments
            .Where(arm => arm.Verdict == Verdict.Winning && !harmed.Contains(arm.Key) && !unknown.Contains(arm.Key))
            .ToList();
        if (winners.MaxBy(arm => Math.Abs(arm.Difference!.Value)) is { } best)
        {
            var unclear = metrics.Any(metric =>
                metric.Role == MetricRole.Guardrail
                && metric.Treatments.Any(arm => arm.Key == best.Key && arm.Reason != VerdictReason.GuardrailSafe)
            );
            return ($"ship {best.Key}", unclear ? [best.Reason, VerdictReason.GuardrailUnclear] : [best.Reason]);
        }

        // There is nothing left to wait for if every treatment is ruled out.
        var outOfIt = treatments.Where(arm => harmed.Contains(arm.Key) || arm.Verdict == Verdict.Losing).ToList();
        return treatments.Count > 0 && outOfIt.Count == treatments.Count
            ? (
                "keep_control",
                [
                    .. outOfIt
                        .SelectMany(arm =>
                            harmed.Contains(arm.Key)
                                ?
                                [
                                    VerdictReason.GuardrailHarmed,
                                    .. lost.Contains(arm.Key) ? [VerdictReason.ShareWithValue] : Array.Empty<VerdictReason>(),
                                ]
                                : new[] { arm.Reason }
                        )
                        .Distinct(),
                ]
            )
            : (
                "keep_running",
                [.. treatments.Select(arm => arm.Verdict == Verdict.Winning ? VerdictReason.GuardrailUnknown : arm.Reason).Distinct()]
            );
    }
}
