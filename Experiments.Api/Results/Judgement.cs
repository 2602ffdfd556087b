using Experiments.Api.Domain;
using Experiments.Api.Slices.Analysis;
using Experiments.Api.Slices.Exposures;
using Experiments.Api.Statistics;

namespace Experiments.Api.Results;

/// <summary>
/// Makes results of what was measured: a pure function, so that the same data gives the same digits. Verdicts rest on the sequential
/// test, adjusted for how many metrics and arms there are, because results are looked at whenever somebody likes to.
/// </summary>
internal static class Judgement
{
    private const int FewestIdentities = 50;
    private const int FewestConversions = 5;
    private const double Alpha = 0.05;

    // The chance that a guardrail is no worse, below which it is taken for hurt though there are too few conversions for a test.
    private const double Collapse = 0.001;

    public static ResultsView Make(ResultsInput input)
    {
        var identities = input.Identities;
        var ratio = SampleRatioView.Of(identities, input.Variants.Select(variant => variant.Weight));
        var isBroken = ratio.IsHealthy is false;
        var compared = input.Metrics.Select(metric => (Metric: metric, Arms: Compare(metric, input))).ToList();
        var holm = Adjusted(compared, comparison => comparison.PValue, Adjustment.Holm);
        var discovery = Adjusted(compared, comparison => comparison.PValue, Adjustment.BenjaminiHochberg);
        var sequential = Adjusted(compared, comparison => comparison.SequentialPValue, Adjustment.Holm);
        var metrics = compared.Select(pair => new MetricResult(
            pair.Metric.Metric,
            pair.Metric.Name,
            pair.Metric.Role,
            pair.Metric.ExpectedDirection,
            pair.Metric.Aggregation,
            pair.Metric.AddedAfterStart,
            [.. input.Variants.Select((variant, place) => Sums(pair.Metric, place, variant.Key, identities[place]))],
            [.. pair.Arms.Select((arm, place) => Treatment(
                pair.Metric, arm, input.Variants[place + 1].Key, Math.Min(identities[0], identities[place + 1]), isBroken,
                holm.GetValueOrDefault((pair.Metric.Link, place)), discovery.GetValueOrDefault((pair.Metric.Link, place)), sequential.GetValueOrDefault((pair.Metric.Link, place))))])).ToList();
        var (recommendation, reasons) = Recommend(metrics, isBroken, [.. input.Variants.Where(variant => variant.Weight > 0).Select(variant => variant.Key)]);
        return new(
            input.AsOf,
            input.EventsNotCounted,
            false,
            null,
            null,
            null,
            recommendation,
            reasons,
            identities.Sum(),
            ExposedVariant.Of(input.Variants, identities),
            ratio,
            input.HeldOut,
            Exposures.Reasons.ToDictionary(reason => reason, reason => input.Outcomes.GetValueOrDefault(reason)),
            input.Progress,
            metrics);
    }

    private static List<(Comparison Comparison, ExactChance? Exact, string? Floor)> Compare(MeasuredMetric metric, ResultsInput input)
    {
        var identities = input.Identities;
        var control = metric.Arm(0, identities[0]);
        var usesCovariate = metric.Definition.LookbackDays is not null;
        // With a covariate a proportion is a mean of noughts and ones.
        var settings = new ComparisonSettings(usesCovariate ? MetricKind.Mean : metric.Kind, Alpha: Alpha, HigherIsBetter: metric.HigherIsBetter, UseCovariate: usesCovariate);
        return [.. Enumerable.Range(1, input.Variants.Count - 1).Select(place =>
        {
            var treatment = metric.Arm(place, identities[place]);
            var floor = control.N == 0 ? Comparison.NoControl
                : control.N < FewestIdentities || treatment.N < FewestIdentities ? Comparison.NotEnoughIdentities
                : metric.CountsConversions && (control.Sum < FewestConversions || treatment.Sum < FewestConversions) ? Comparison.NotEnoughConversions
                : null;
            var exact = floor is not (null or Comparison.NotEnoughConversions) ? null : metric.Aggregation switch
            {
                "occurrence" or "funnel" => ExactChance.Compare(new BetaPosterior(control.N, control.Sum), new BetaPosterior(treatment.N, treatment.Sum)),
                "count" => ExactChance.Compare(new GammaPosterior(control.N, control.Sum), new GammaPosterior(treatment.N, treatment.Sum)),
                _ => null,
            };
            return (Comparison.Between(control, treatment, settings), exact, floor);
        })];
    }

    // Over the primary and the secondary metrics, times the arms; guardrails are judged one by one, since to miss harm is the worse mistake.
    private static Dictionary<(long Link, int Place), double> Adjusted(
        List<(MeasuredMetric Metric, List<(Comparison Comparison, ExactChance? Exact, string? Floor)> Arms)> compared,
        Func<Comparison, double> pValue,
        Func<IReadOnlyList<double>, double[]> adjust)
    {
        var family = compared.Where(pair => pair.Metric.Role != "guardrail")
            .SelectMany(pair => pair.Arms.Select((arm, place) => (Key: (pair.Metric.Link, place), arm.Comparison, arm.Floor)))
            .ToList();
        // What cannot be tested yet is one of those that will be.
        return family.Zip(adjust([.. family.Select(test => test.Floor is null && test.Comparison.Effect is not null ? pValue(test.Comparison) : 1)])).ToDictionary(pair => pair.First.Key, pair => pair.Second);
    }

    private static ArmResult Sums(MeasuredMetric metric, int place, string key, long n)
    {
        var arm = metric.Arm(place, n);
        var isRatio = metric.Kind == MetricKind.Ratio;
        var usesCovariate = metric.Definition.LookbackDays is not null;
        var unit = n >= 2 && (!isRatio || arm.DenominatorSum != 0) ? Comparison.UnitOf(arm, metric.Kind) : (Unit?)null;
        return new(
            key, n, arm.Sum, arm.SumSquares, Finite(unit?.Mean), Finite(unit is { } known ? Math.Sqrt(known.Variance / n) : null),
            isRatio ? arm.DenominatorSum : null, isRatio ? arm.DenominatorSumSquares : null, isRatio ? arm.CrossSum : null,
            usesCovariate ? arm.CovariateSum : null, usesCovariate ? arm.CovariateSumSquares : null, usesCovariate ? arm.CovariateCrossSum : null,
            metric.Aggregation != "funnel" ? null : [.. Enumerable.Range(1, metric.Definition.Steps!.Count).Select(step =>
                metric.Steps.Where(reached => reached.Arm == place && reached.Step >= step).Sum(reached => reached.Count))]);
    }

    private static double? Finite(double? value) => value is { } number && double.IsFinite(number) ? number : null;

    private static TreatmentResult Treatment(
        MeasuredMetric metric, (Comparison Comparison, ExactChance? Exact, string? Floor) arm, string key, long fewest, bool isBroken, double holm, double discovery, double sequential)
    {
        var (comparison, exact, floor) = arm;
        if ((floor ?? comparison.Reason) is { } reason)
        {
            // So few are left of what there was that no approximation is needed to see it.
            if (!isBroken && metric.IsGuardrail && exact is not null && (metric.HigherIsBetter ? exact.ChanceToWin : exact.ChanceToLose) < Collapse)
            {
                return new(key, "losing", "guardrail_harmed", Significance.OfNone(fewest), null, null, null, null, null, null, null, null, ExactOf(metric, exact), null);
            }

            return new(key, isBroken ? "invalid" : "collecting_data", isBroken ? Comparison.SampleRatioMismatch : reason, Significance.OfNone(fewest), null, null, null, null, null, null, null, null, null, null);
        }

        var isAdjusted = metric.Role != "guardrail";
        var (verdict, why) = isBroken ? ("invalid", Comparison.SampleRatioMismatch) : metric.IsGuardrail ? Guard(metric, comparison) : Judge(metric, comparison, sequential);
        var view = ComparedArm.Of(key, comparison);
        return new(
            key, verdict, why, Significance.Of(comparison, fewest), view.Effect, view.StandardError, view.Frequentist, isAdjusted ? holm : null, isAdjusted ? discovery : null, view.Sequential, isAdjusted ? sequential : null, view.Bayesian,
            exact is null ? null : ExactOf(metric, exact), view.Cuped);
    }

    private static ExactView ExactOf(MeasuredMetric metric, ExactChance exact) => metric.HigherIsBetter
        ? new(exact.ChanceToWin, [exact.LossOfKeeping, exact.LossOfShipping])
        : new(exact.ChanceToLose, [exact.LossOfShipping, exact.LossOfKeeping]);

    private static (string Verdict, string Reason) Judge(MeasuredMetric metric, Comparison comparison, double adjusted) =>
        adjusted >= Alpha ? ("inconclusive", "not_significant")
        : comparison.Effect!.Value > 0 == metric.HigherIsBetter ? ("winning", "significantly_better")
        : ("losing", "significantly_worse");

    private static (string Verdict, string Reason) Guard(MeasuredMetric metric, Comparison comparison) =>
        NonInferiority.Judge(comparison.SequentialInterval, metric.HigherIsBetter, NonInferiority.DefaultMargin) switch
        {
            GuardrailVerdict.Harmed => ("losing", "guardrail_harmed"),
            GuardrailVerdict.Safe => ("inconclusive", "guardrail_safe"),
            _ => ("inconclusive", "guardrail_unclear"),
        };

    private static (string Recommendation, IReadOnlyList<string> Reasons) Recommend(List<MetricResult> metrics, bool isBroken, HashSet<string> served)
    {
        if (isBroken)
        {
            return ("fix_the_experiment", [Comparison.SampleRatioMismatch]);
        }

        if (metrics.FirstOrDefault(metric => metric.Role == "primary") is not { } primary)
        {
            return ("keep_running", ["no_primary_metric"]);
        }

        var harmed = metrics.Where(metric => metric.Role == "guardrail").SelectMany(metric => metric.Treatments).Where(arm => arm.Verdict == "losing").Select(arm => arm.Key).ToHashSet();
        // A guardrail of which nothing can be said yet might be the one that is hurt.
        var unknown = metrics.Where(metric => metric.Role == "guardrail").SelectMany(metric => metric.Treatments).Where(arm => arm.Verdict == "collecting_data").Select(arm => arm.Key).ToHashSet();
        var treatments = primary.Treatments.Where(arm => served.Contains(arm.Key)).ToList();
        var winners = treatments.Where(arm => arm.Verdict == "winning" && !harmed.Contains(arm.Key) && !unknown.Contains(arm.Key)).ToList();
        if (winners.MaxBy(arm => arm.Bayesian!.ExpectedLoss[0]) is { } best)
        {
            var unclear = metrics.Any(metric => metric.Role == "guardrail" && metric.Treatments.Any(arm => arm.Key == best.Key && arm.Reason != "guardrail_safe"));
            return ($"ship {best.Key}", unclear ? [best.Reason, "guardrail_unclear"] : [best.Reason]);
        }

        // Nothing is left to wait for where every treatment is out.
        var outOfIt = treatments.Where(arm => harmed.Contains(arm.Key) || arm.Verdict == "losing").ToList();
        return treatments.Count > 0 && outOfIt.Count == treatments.Count
            ? ("keep_control", [.. outOfIt.Select(arm => harmed.Contains(arm.Key) ? "guardrail_harmed" : arm.Reason).Distinct()])
            : ("keep_running", [.. treatments.Select(arm => arm.Verdict == "winning" ? "guardrail_unknown" : arm.Reason).Distinct()]);
    }
}
