using Experiments.Api.MetricDefinitions;

namespace Experiments.Api.Analysis;

/// <summary>
/// What to do with an experiment. The primary metric decides, and a guardrail can veto. A secondary metric that gets worse is named beside
/// a recommendation to ship.
/// </summary>
/// <param name="metrics">Every metric with its verdicts.</param>
/// <param name="served">The variants that can be shipped: those with a weight.</param>
internal sealed class Recommendation(IReadOnlyList<MetricResult> metrics, IReadOnlySet<string> served)
{
    // With more of the events uncounted than this, arms may have been counted to different times.
    private const double MostNotCounted = 0.01;

    private readonly IReadOnlyList<MetricResult> _guardrails =
    [
        .. metrics.Where(metric => metric.IsGuardrail && metric.Role != MetricRole.Primary),
    ];

    public static RecommendationView Of(
        IReadOnlyList<MetricResult> metrics,
        IReadOnlySet<string> served,
        bool isSampleRatioBroken,
        bool hasStarted,
        double shareNotCounted
    ) =>
        !hasStarted ? Only(RecommendedAction.Start, VerdictReason.NotStarted)
        : shareNotCounted > MostNotCounted ? Only(RecommendedAction.KeepRunning, VerdictReason.EventsNotCounted)
        : isSampleRatioBroken ? Only(RecommendedAction.FixTheExperiment, VerdictReason.SampleRatioMismatch)
        : metrics.FirstOrDefault(metric => metric.Role == MetricRole.Primary) is not { } primary
            ? Only(RecommendedAction.KeepRunning, VerdictReason.NoPrimaryMetric)
        : new Recommendation(metrics, served).By(primary);

    private RecommendationView By(MetricResult primary)
    {
        var treatments = primary.Treatments.Where(arm => served.Contains(arm.Key)).ToList();
        if (treatments.Count == 0)
        {
            return Only(RecommendedAction.KeepRunning, VerdictReason.NoTreatment);
        }

        var sign = primary.ExpectedDirection is ExpectedDirection.Increase or ExpectedDirection.NotDecrease ? 1 : -1;
        var winners = treatments.Where(IsSuccess).ToList();
        if (winners.Where(arm => !Vetoes(arm.Key).Any()).MaxBy(arm => sign * arm.Difference) is { } best)
        {
            return Ship(primary, best);
        }

        // There is nothing left to wait for if every treatment is ruled out.
        var outOfIt = treatments.Where(arm => arm.Verdict == Verdict.Losing || Harms(arm.Key).Any()).ToList();
        return outOfIt.Count == treatments.Count
            ? View(
                RecommendedAction.KeepControl,
                null,
                [.. outOfIt.SelectMany(arm => Harms(arm.Key).Concat(arm.Verdict == Verdict.Losing ? [(Metric: primary, Arm: arm)] : []))],
                found => found.Arm.Reason
            )
            : View(
                RecommendedAction.KeepRunning,
                null,
                [.. treatments.SelectMany(arm => IsSuccess(arm) ? Vetoes(arm.Key) : Harms(arm.Key).Prepend((Metric: primary, Arm: arm)))],
                found => found.Arm.Verdict == Verdict.Invalid && found.Metric != primary ? VerdictReason.GuardrailFailed : found.Arm.Reason
            );
    }

    private RecommendationView Ship(MetricResult primary, TreatmentResult best)
    {
        List<(MetricResult Metric, TreatmentResult Arm, VerdictReason Code)> found =
        [
            (primary, best, best.Reason),
            .. Of(best.Key, _guardrails)
                .Where(guardrail => guardrail.Arm.Reason != VerdictReason.GuardrailSafe)
                .Select(guardrail =>
                    (
                        guardrail.Metric,
                        guardrail.Arm,
                        guardrail.Arm.Verdict == Verdict.CollectingData ? VerdictReason.GuardrailNotJudged : guardrail.Arm.Reason
                    )
                ),
        ];
        var worse = Of(best.Key, metrics)
            .Where(other => other.Metric is { Role: MetricRole.Secondary, IsGuardrail: false } && other.Arm.Verdict == Verdict.Losing)
            .Select(other => (other.Metric, other.Arm, VerdictReason.SecondaryWorse));
        return View(RecommendedAction.Ship, best.Key, found, [.. found, .. worse]);
    }

    // A primary metric that must not get worse succeeds when it is safely not worse.
    private static bool IsSuccess(TreatmentResult arm) =>
        arm.Verdict == Verdict.Winning || arm.Reason is VerdictReason.GuardrailSafe or VerdictReason.GuardrailWithinMargin;

    private IEnumerable<(MetricResult Metric, TreatmentResult Arm)> Harms(string key) =>
        Of(key, _guardrails).Where(guardrail => guardrail.Arm.Verdict == Verdict.Losing);

    // What keeps a variant from being shipped, though it wins.
    private IEnumerable<(MetricResult Metric, TreatmentResult Arm)> Vetoes(string key) =>
        Of(key, _guardrails)
            .Where(guardrail =>
                guardrail.Arm
                    is { Verdict: Verdict.Losing or Verdict.Invalid }
                        or { Reason: VerdictReason.GuardrailWorse or VerdictReason.ContradictoryEvidence or VerdictReason.BackfillPending }
            );

    private static IEnumerable<(MetricResult Metric, TreatmentResult Arm)> Of(string key, IEnumerable<MetricResult> metrics) =>
        metrics.SelectMany(metric => metric.Treatments.Where(arm => arm.Key == key).Select(arm => (metric, arm)));

    private static RecommendationView Only(RecommendedAction action, VerdictReason reason) =>
        new(action, null, [], [ReasonText.Of(reason)]);

    private static RecommendationView View(
        RecommendedAction action,
        string? variant,
        List<(MetricResult Metric, TreatmentResult Arm)> found,
        Func<(MetricResult Metric, TreatmentResult Arm), VerdictReason> code
    )
    {
        var reasons = found.Select(one => (one.Metric, one.Arm, code(one))).ToList();
        return View(action, variant, reasons, reasons);
    }

    private static RecommendationView View(
        RecommendedAction action,
        string? variant,
        List<(MetricResult Metric, TreatmentResult Arm, VerdictReason Code)> deciding,
        List<(MetricResult Metric, TreatmentResult Arm, VerdictReason Code)> reasons
    ) =>
        new(
            action,
            variant,
            [.. deciding.Select(one => new DecidingMetric(one.Metric.Metric, one.Metric.Name, one.Metric.Role)).Distinct()],
            [.. reasons.Select(one => ReasonText.Of(one.Code, one.Metric, one.Arm))]
        );
}
