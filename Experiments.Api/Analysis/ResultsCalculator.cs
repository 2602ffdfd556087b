using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// Computes results from the measurements. A pure function: the same data gives the same digits. Verdicts are based on the sequential
/// test, adjusted for the number of metrics and arms, because results may be read at any time.
/// </summary>
internal static class ResultsCalculator
{
    private const double Alpha = 0.05;

    // If the probability that a guardrail is no worse is below this, it counts as harmed, even if there are too few conversions for a
    // test.
    private const double Collapse = 0.001;

    /// <param name="input">What was measured.</param>
    /// <param name="failed">Called with the link id of each metric that cannot be judged. The other metrics are still judged.</param>
    public static ResultsView Make(ResultsInput input, Action<long, Exception>? failed = null)
    {
        var identities = input.Identities;
        var ratio = SampleRatioView.Of(identities, input.Variants.Select(variant => variant.Weight));
        var isBroken = ratio.IsHealthy is false;
        var compared = input.Metrics.Select(metric => (Metric: metric, Arms: TryCompare(metric, input, failed))).ToList();
        var tests = new AdjustedTests(compared.Where(pair => pair.Metric.Role != MetricRole.Guardrail));
        var metrics = compared
            .Select(pair => new MetricResult(
                pair.Metric.Metric,
                pair.Metric.Name,
                pair.Metric.Role,
                pair.Metric.ExpectedDirection,
                pair.Metric.Aggregation,
                pair.Metric.AddedAfterStart,
                pair.Arms is null
                    ? []
                    : [.. input.Variants.Select((variant, index) => Sums(pair.Metric, index, variant.Key, identities[index]))],
                [
                    .. input
                        .Variants.Skip(1)
                        .Select(
                            (variant, index) =>
                                Treatment(
                                    pair.Metric,
                                    pair.Arms?[index],
                                    variant.Key,
                                    Math.Min(identities[0], identities[index + 1]),
                                    isBroken,
                                    tests.Of(pair.Metric.Link, index)
                                )
                        ),
                ],
                pair.Arms is null ? Failed : null
            ))
            .ToList();
        var (recommendation, reasons) = Recommendation.Of(
            metrics,
            isBroken,
            [.. input.Variants.Where(variant => variant.Weight > 0).Select(variant => variant.Key)]
        );
        return new(
            input.AsOf,
            input.EventsNotCounted,
            null,
            false,
            null,
            null,
            null,
            recommendation,
            reasons,
            identities.Sum(),
            VariantExposures.Of(input.Variants, identities),
            ratio,
            input.HeldOut,
            ExposureState.Reasons.ToDictionary(reason => reason, reason => input.Outcomes.GetValueOrDefault(reason)),
            input.Warnings,
            input.Progress,
            metrics
        );
    }

    private const string Failed = "This metric could not be computed. See the service log for the reason.";

    private static List<ComparedMetricArm>? TryCompare(MeasuredMetric metric, ResultsInput input, Action<long, Exception>? failed)
    {
        if (metric.Failed)
        {
            return null;
        }

        try
        {
            return Compare(metric, input);
        }
        catch (Exception exception) when (failed is not null)
        {
            failed(metric.Link, exception);
            return null;
        }
    }

    private static List<ComparedMetricArm> Compare(MeasuredMetric metric, ResultsInput input)
    {
        var (identities, weights) = (input.Identities, input.Variants.Select(variant => (double)variant.Weight).ToList());
        var control = metric.Arm(0, identities[0]);
        var usesCovariate = metric.Definition.LookbackDays is not null;
        // With a covariate, a proportion is treated as a mean of zeros and ones.
        var settings = new ComparisonSettings(
            usesCovariate ? MetricKind.Mean : metric.Kind,
            Alpha: Alpha,
            HigherIsBetter: metric.HigherIsBetter,
            UseCovariate: usesCovariate
        );
        return
        [
            .. Enumerable
                .Range(1, input.Variants.Count - 1)
                .Select(index =>
                    ComparedMetricArm.Of(
                        metric,
                        control,
                        metric.Arm(index, identities[index]),
                        weights[index] / (weights[0] + weights[index]),
                        settings
                    )
                ),
        ];
    }

    private static ArmResult Sums(MeasuredMetric metric, int index, string key, long n)
    {
        var arm = metric.Arm(index, n);
        var isRatio = metric.Kind == MetricKind.Ratio;
        var usesCovariate = metric.Definition.LookbackDays is not null;
        var unit = n >= 2 && (!isRatio || arm.DenominatorSum != 0) ? Comparison.UnitOf(arm, metric.Kind) : (SampleMoments?)null;
        return new(
            key,
            n,
            arm.Sum,
            arm.SumSquares,
            Finite(unit?.Mean),
            Finite(unit is { } known ? Math.Sqrt(known.Variance / n) : null),
            isRatio ? arm.DenominatorSum : null,
            isRatio ? arm.DenominatorSumSquares : null,
            isRatio ? arm.CrossSum : null,
            usesCovariate ? arm.CovariateSum : null,
            usesCovariate ? arm.CovariateSumSquares : null,
            usesCovariate ? arm.CovariateCrossSum : null,
            metric.Aggregation != MetricAggregation.Funnel
                ? null
                :
                [
                    .. Enumerable
                        .Range(1, metric.Definition.Steps!.Count)
                        .Select(step =>
                            metric.Steps.Where(reached => reached.Arm == index && reached.Step >= step).Sum(reached => reached.Count)
                        ),
                ]
        )
        {
            NonZero = metric.Kind == MetricKind.Proportion ? null : (long)arm.NonZero,
            DenominatorNonZero = isRatio ? (long)arm.DenominatorNonZero : null,
        };
    }

    private static double? Finite(double? value) => value is { } number && double.IsFinite(number) ? number : null;

    private static TreatmentResult Treatment(
        MeasuredMetric metric,
        ComparedMetricArm? arm,
        string key,
        long fewest,
        bool isBroken,
        AdjustedPValues? adjusted
    )
    {
        if (arm is null)
        {
            return Nothing(Verdict.Invalid, VerdictReason.MetricFailed);
        }

        if (arm.Reason is { } reason)
        {
            var (known, because) = isBroken
                ? (Verdict.Invalid, VerdictReason.SampleRatioMismatch)
                : JudgeWithoutTest(metric, arm, adjusted, Because(reason));
            return Nothing(known, because) with
            {
                AdjustedSequentialPValue = arm.Share is null ? null : adjusted?.Sequential,
                Exact = because == VerdictReason.GuardrailHarmed ? ExactOf(metric, arm.Exact!) : null,
                ShareWithValue = arm.Share,
            };
        }

        var comparison = arm.Comparison;
        var (verdict, why) =
            isBroken ? (Verdict.Invalid, VerdictReason.SampleRatioMismatch)
            : metric.IsGuardrail ? Guard(metric, comparison)
            : Judge(metric, comparison, adjusted!.Sequential);
        var view = ComparedArm.Of(key, comparison);
        return new(
            key,
            verdict,
            why,
            SignificanceRules.Of(comparison, fewest),
            view.Effect,
            view.Difference,
            view.StandardError,
            view.Frequentist,
            adjusted?.Holm,
            adjusted?.BenjaminiHochberg,
            view.Sequential,
            adjusted?.Sequential,
            view.Bayesian,
            arm.Exact is null ? null : ExactOf(metric, arm.Exact),
            view.Cuped
        );

        TreatmentResult Nothing(Verdict verdict, VerdictReason reason) =>
            new(key, verdict, reason, SignificanceRules.OfNone(fewest), null, null, null, null, null, null, null, null, null, null, null);
    }

    // There is not enough data to test the means. A complete loss of values is still detected.
    private static (Verdict Verdict, VerdictReason Reason) JudgeWithoutTest(
        MeasuredMetric metric,
        ComparedMetricArm arm,
        AdjustedPValues? adjusted,
        VerdictReason reason
    )
    {
        if (
            arm.Share is { } share
            && share.IsWorse(metric.HigherIsBetter)
            && (metric.IsGuardrail ? share.PValue : adjusted!.Sequential) < Alpha
        )
        {
            return (Verdict.Losing, VerdictReason.ShareWithValue);
        }

        return metric.IsGuardrail && arm.Exact is { } exact && (metric.HigherIsBetter ? exact.ChanceToWin : exact.ChanceToLose) < Collapse
            ? (Verdict.Losing, VerdictReason.GuardrailHarmed)
            : (Verdict.CollectingData, reason);
    }

    // A comparison's reason is the verdict's.
    private static VerdictReason Because(ComparisonReason reason) => Words.Parse<VerdictReason>(Words.Of(reason));

    private static ExactView ExactOf(MeasuredMetric metric, PosteriorComparison exact) =>
        metric.HigherIsBetter
            ? new(exact.ChanceToWin, [exact.LossOfKeeping, exact.LossOfShipping])
            : new(exact.ChanceToLose, [exact.LossOfShipping, exact.LossOfKeeping]);

    private static (Verdict Verdict, VerdictReason Reason) Judge(MeasuredMetric metric, Comparison comparison, double adjusted) =>
        adjusted >= Alpha ? (Verdict.Inconclusive, VerdictReason.NotSignificant)
        : comparison.Difference!.Value > 0 == metric.HigherIsBetter ? (Verdict.Winning, VerdictReason.SignificantlyBetter)
        : (Verdict.Losing, VerdictReason.SignificantlyWorse);

    private static (Verdict Verdict, VerdictReason Reason) Guard(MeasuredMetric metric, Comparison comparison) =>
        NonInferiority.Judge(comparison, metric.HigherIsBetter, NonInferiority.DefaultMargin, Alpha) switch
        {
            GuardrailVerdict.Harmed => (Verdict.Losing, VerdictReason.GuardrailHarmed),
            GuardrailVerdict.Safe => (Verdict.Inconclusive, VerdictReason.GuardrailSafe),
            _ => (Verdict.Inconclusive, VerdictReason.GuardrailUnclear),
        };
}
