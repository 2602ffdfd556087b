using Experiments.Api.Domain;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// Computes results from the measurements. A pure function: the same data and the same earlier looks give the same digits. Verdicts are
/// based on tests that are valid at any number of looks, because results may be read at any time.
/// </summary>
internal static class ResultsCalculator
{
    private const string Failed = "This metric could not be computed. See the service log for the reason.";

    /// <param name="input">What was measured.</param>
    /// <param name="failed">Called with the link id of each metric that cannot be judged. The other metrics are still judged.</param>
    /// <returns>The results, and the evidence after this look; null before the first look that can be trusted.</returns>
    public static (ResultsView Results, Evidence? Evidence) Make(ResultsInput input, Action<long, Exception>? failed = null)
    {
        var identities = input.Identities;
        var ratio = SampleRatioView.Of(identities, input.Variants.Select(variant => variant.Weight));
        var compared = input.Metrics.Select(metric => new ComparedMetric(metric, TryCompare(metric, input, failed))).ToList();
        var families = new TestFamilies(compared, [.. input.Variants.Skip(1).Select(variant => variant.Weight > 0)]);
        var metrics = compared.Select(metric => ResultOf(metric, input, ratio.IsHealthy is false, families)).ToList();
        var results = new ResultsView
        {
            AsOf = input.AsOf,
            EventsNotCounted = input.EventsNotCounted,
            EvidenceSince = input.Evidence?.Since,
            Recommendation = Recommendation.Of(
                metrics,
                input.Variants.Where(variant => variant.Weight > 0).Select(variant => variant.Key).ToHashSet(),
                ratio.IsHealthy is false,
                input.StartedAt is not null,
                (double)input.EventsNotCounted / Math.Max(1, input.EventsNotCounted + input.EventsCounted)
            ),
            Total = identities.Sum(),
            Variants = VariantExposures.Of(input.Variants, identities),
            SampleRatio = ratio,
            HeldOut = input.HeldOut,
            Excluded = ExposureState.Reasons.ToDictionary(reason => reason, reason => input.Outcomes.GetValueOrDefault(reason)),
            Warnings = [.. input.Warnings, .. compared.SelectMany(metric => WarningsOf(metric, input))],
            Progress = input.Progress,
            Metrics = metrics,
            Significance = compared.ToDictionary(metric => metric.Metric.Metric, metric => SignificanceOf(metric, input)),
        };
        return (results, IsTrusted(results, input) ? EvidenceOf(compared, input) : input.Evidence);
    }

    private static IReadOnlyList<Significance> SignificanceOf(ComparedMetric metric, ResultsInput input)
    {
        var identities = input.IdentitiesOf(metric.Metric);
        return
        [
            .. identities
                .Skip(1)
                .Select((n, treatment) => SignificanceRules.Of(metric.Arms?[treatment].Comparison, Math.Min(identities[0], n))),
        ];
    }

    private static IEnumerable<ResultsWarning> WarningsOf(ComparedMetric metric, ResultsInput input) =>
        (metric.Arms ?? [])
            .Index()
            .SelectMany(arm =>
                new[]
                {
                    (Code: "effect_changed", Holds: arm.Item.Tests.HasChanged),
                    (Code: "pre_period_difference", Holds: arm.Item.DifferedBefore),
                }
                    .Where(warning => warning.Holds)
                    .Select(warning => new ResultsWarning(warning.Code, null)
                    {
                        Metric = metric.Metric.Metric,
                        Variant = input.Variants[arm.Index + 1].Key,
                    })
            );

    // A look that is not to be believed adds no evidence.
    private static bool IsTrusted(ResultsView results, ResultsInput input) =>
        results.SampleRatio.IsHealthy is not false
        && input.UnreadableSince is null
        && results.Recommendation.Reasons is not [{ Code: VerdictReason.EventsNotCounted }];

    private static Evidence EvidenceOf(List<ComparedMetric> compared, ResultsInput input)
    {
        // What a metric that fails for once has found before stands.
        var metrics = input.Evidence?.Metrics.ToDictionary() ?? [];
        foreach (var (metric, arms) in compared)
        {
            if (arms is not null)
            {
                metrics[metric.Link] = [.. arms.Select(arm => new ArmEvidence(arm.Tests, arm.PValueOfHarm))];
            }
        }

        return new(input.Evidence?.Since ?? input.AsOf, (input.Evidence?.Looks ?? 0) + 1, metrics);
    }

    private static List<ComparedMetricArm>? TryCompare(MeasuredMetric metric, ResultsInput input, Action<long, Exception>? failed)
    {
        if (metric.Failed || metric.IsBackfilling)
        {
            return null;
        }

        try
        {
            var identities = input.IdentitiesOf(metric);
            var weights = input.Variants.Select(variant => (double)variant.Weight).ToList();
            return
            [
                .. Enumerable
                    .Range(1, input.Variants.Count - 1)
                    .Select(index =>
                        ComparedMetricArm.Of(
                            metric,
                            metric.Arm(0, identities[0]),
                            metric.Arm(index, identities[index]),
                            weights[index] / (weights[0] + weights[index]),
                            Evidence.Of(input.Evidence, metric.Link, index - 1)
                        )
                    ),
            ];
        }
        catch (Exception exception) when (failed is not null)
        {
            failed(metric.Link, exception);
            return null;
        }
    }

    private static MetricResult ResultOf(ComparedMetric compared, ResultsInput input, bool isBroken, TestFamilies families)
    {
        var (metric, identities) = (compared.Metric, input.IdentitiesOf(compared.Metric));
        var best = compared.Arms is null ? [] : BestArm.Of(metric, identities, [.. input.Variants.Select(variant => variant.Weight)]);
        return new(
            metric.Metric,
            metric.Name,
            metric.Role,
            metric.ExpectedDirection,
            metric.Aggregation,
            metric.AddedAfterStart,
            compared.Arms is null
                ? []
                : [.. input.Variants.Select((variant, index) => ArmResults.Of(metric, index, variant.Key, identities[index], best[index]))],
            [
                .. input
                    .Variants.Skip(1)
                    .Select(
                        (variant, treatment) =>
                            Treatment(
                                metric,
                                compared.Arms?[treatment],
                                variant.Key,
                                isBroken,
                                families.Of(metric.Link, treatment),
                                families.IsGateOpen(treatment)
                            ) with
                            {
                                Quantiles = Quantiles.Differences(metric.Quantiles, treatment + 1),
                            }
                    ),
            ],
            compared.Arms is null && !metric.IsBackfilling ? Failed : null
        )
        {
            Margin = metric.IsGuardrail ? metric.Margin : null,
            CorrectedAfterStart = metric.CorrectedAfterStart ? true : null,
            IsBackfilling = metric.IsBackfilling ? true : null,
            Windows = WindowsOf(metric, input),
            NotNumbers = metric.NotNumbers > 0 ? metric.NotNumbers : null,
            MissingEvents = metric.MissingEvents.Count > 0 ? metric.MissingEvents : null,
            Winsorized = metric.Winsorized,
        };
    }

    // After windows are closed nobody waits: those whose window was cut short count, or are left out of retention.
    private static WindowsView? WindowsOf(MeasuredMetric metric, ResultsInput input)
    {
        var waiting = metric.Waiting + (metric.Identities is { } mature ? input.Identities.Sum() - mature.Sum() : 0);
        return metric.Definition.RunsOn == TimeSpan.Zero ? null
            : input.WindowsCloseAt <= metric.MaturedTo ? new(0, metric.CutShort + waiting)
            : new(waiting, metric.CutShort);
    }

    private static TreatmentResult Treatment(
        MeasuredMetric metric,
        ComparedMetricArm? arm,
        string key,
        bool isBroken,
        AdjustedPValues? adjusted,
        bool isGateOpen
    )
    {
        if (arm is null)
        {
            var (pending, because) = metric.IsBackfilling
                ? (Verdict.CollectingData, VerdictReason.BackfillPending)
                : (Verdict.Invalid, VerdictReason.MetricFailed);
            return new(key, pending, because);
        }

        var (verdict, reason) = isBroken
            ? (Verdict.Invalid, VerdictReason.SampleRatioMismatch)
            : VerdictRules.Of(metric, arm, adjusted, isGateOpen);
        var shown = ShownEffect.Of(metric, arm, key);
        var view = shown.View;
        return new(key, verdict, reason)
        {
            Missing = arm.Floor,
            Effect = shown.Effect,
            Difference = shown.Difference,
            StandardError = view?.StandardError,
            Frequentist = view?.Frequentist,
            AdjustedPValue = view is null ? null : adjusted?.Holm,
            BenjaminiHochbergPValue = view is null ? null : adjusted?.BenjaminiHochberg,
            Sequential = shown.Sequential,
            AdjustedSequentialPValue =
                (shown.Sequential is not null || arm.Share is not null) && !metric.IsGuardrail ? adjusted?.Sequential : null,
            Guardrail = metric.IsGuardrail && shown.Sequential is not null ? new(arm.Tests.Harmed, arm.Tests.Safe) : null,
            Bayesian = view?.Bayesian,
            Exact = arm.Exact is null ? null : ExactOf(metric, arm.Exact),
            Cuped = view?.Cuped,
            ShareWithValue = arm.Share,
        };
    }

    private static ExactView ExactOf(MeasuredMetric metric, PosteriorComparison exact) =>
        metric.HigherIsBetter
            ? new(exact.ChanceToWin, [exact.LossOfKeeping, exact.LossOfShipping])
            : new(exact.ChanceToLose, [exact.LossOfShipping, exact.LossOfKeeping]);
}
