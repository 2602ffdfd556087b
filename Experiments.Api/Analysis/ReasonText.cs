using System.Globalization;

namespace Experiments.Api.Analysis;

/// <summary>The reasons of a recommendation as sentences for readers who don't know statistics.</summary>
internal static class ReasonText
{
    public static RecommendationReason Of(VerdictReason code, MetricResult? metric = null, TreatmentResult? arm = null) =>
        new(code, Sentence(code, metric, arm), metric?.Metric, arm?.Key);

    private static string Sentence(VerdictReason code, MetricResult? metric, TreatmentResult? arm)
    {
        var (name, key) = ($"“{metric?.Name}”", $"“{arm?.Key}”");
        var change = arm?.Effect is { } effect
            ? string.Create(CultureInfo.InvariantCulture, $" ({(effect < 0 ? "−" : "+")}{Math.Abs(effect) * 100:0.#} %)")
            : "";
        return code switch
        {
            VerdictReason.SignificantlyBetter =>
                $"{key} is better than control on {name}{change}, and the difference is not due to chance.",
            VerdictReason.SignificantlyWorse => $"{key} is worse than control on {name}{change}, and the difference is not due to chance.",
            VerdictReason.NotSignificant => $"{key} and control can't be told apart on {name} yet.",
            VerdictReason.PrimaryNotDecided => $"{key} improves {name}, but the primary metric is not decided yet.",
            VerdictReason.ShareWithValue =>
                $"There are too few values to compare {name}, but far {FewerOrMore(arm)} identities in {key} have one than in control.",
            VerdictReason.EffectChanged => $"{key} differed from control on {name}, but the difference now points the other way{change}.",
            VerdictReason.ContradictoryEvidence =>
                $"{key} was better than control on {name} at one time and worse at another. Look for what changed.",
            VerdictReason.GuardrailHarmed => $"{key} harms the guardrail {name}{change} by more than its margin.",
            VerdictReason.GuardrailSafe => $"{key} does not harm {name} by more than its margin.",
            VerdictReason.GuardrailWithinMargin => $"Note that {key} is worse than control on {name}{change}, within its margin.",
            VerdictReason.GuardrailWorse =>
                $"{key} is worse than control on the guardrail {name}{change}. It is not known yet whether by more than its margin.",
            VerdictReason.GuardrailUnclear => $"It is not known yet whether {key} harms the guardrail {name}.",
            VerdictReason.GuardrailNotJudged => $"The guardrail {name} can't be judged yet for {key}: {Missing(arm)}.",
            VerdictReason.GuardrailFailed => $"The guardrail {name} could not be computed, so nothing is shipped past it.",
            VerdictReason.SecondaryWorse => $"Note that {key} is worse than control on the secondary metric {name}{change}.",
            VerdictReason.NoPrimaryMetric => "The experiment has no primary metric, so nothing can be recommended.",
            VerdictReason.NotStarted => "The experiment has not started, so nothing is counted yet.",
            VerdictReason.NoTreatment => "No treatment has a weight, so there is nothing to compare with control.",
            VerdictReason.EventsNotCounted => "More than 1 % of the events received have not been counted yet.",
            VerdictReason.BackfillPending => $"The earlier events of {name} are still being counted.",
            VerdictReason.MetricFailed => $"{name} could not be computed.",
            VerdictReason.SampleRatioMismatch =>
                "Identities did not arrive in the configured proportions, so the arms are not comparable. Find the cause first.",
            VerdictReason.ZeroVariance => $"The values of {name} don't vary in {key} or in control, so they can't be compared.",
            VerdictReason.ZeroBaseline or VerdictReason.ControlNearZero => $"Control's value of {name} is zero or close to it.",
            _ => $"There is not enough data yet to compare {key} with control on {name}: {Missing(arm)}.",
        };
    }

    private static string FewerOrMore(TreatmentResult? arm) =>
        arm?.ShareWithValue is { } share && share.Treatment > share.Control ? "more" : "fewer";

    private static string Missing(TreatmentResult? arm) =>
        arm?.Missing is not { } missing
            ? "no comparison is possible"
            : $"{missing.Have} of {missing.Needed} "
                + missing.Reason switch
                {
                    Statistics.ComparisonReason.NotEnoughConversions => "conversions in each arm",
                    Statistics.ComparisonReason.NotEnoughNonConversions => "identities without a conversion in each arm",
                    Statistics.ComparisonReason.NotEnoughValues => "identities with a value in each arm",
                    Statistics.ComparisonReason.NotEnoughDenominators => "identities with a denominator in each arm",
                    _ => "identities in each arm",
                };
}
