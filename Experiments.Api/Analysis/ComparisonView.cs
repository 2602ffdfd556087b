using System.Text.Json.Serialization;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>Each treatment compared with control.</summary>
[Example(
    """
        {"treatments": [{"key": "green", "effect": 0.2, "difference": 0.02, "standard_error": 0.014,
            "frequentist": {"p_value": 0.1527, "ci": [-0.0661, 0.5521], "degrees_of_freedom": 1985.4},
                "sequential": {"p_value": 0.9389, "ci": [-0.1992, 0.8303]},
            "bayesian": {"chance_to_win": 0.9236, "ci": [-0.0659, 0.5519], "expected_loss": [0.2048, 0.0048]}, "cuped": null,
                "reason": null}]}
        """
)]
internal sealed record ComparisonView(
    IReadOnlyList<ComparedArm> Treatments,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SampleRatioOf? SampleRatio
);

/// <summary>The p-values of the sample ratio: at one look, and at any number of looks.</summary>
internal sealed record SampleRatioOf(double? PValue, double? SequentialPValue);

/// <summary>
/// A treatment compared with control by every method. The difference of the means and its standard error are in units of the metric. The
/// effect, the intervals and the losses are absolute or relative, as requested. All are null, with the reason, if no comparison is
/// possible. Only the effect is null if it is relative and control's mean is 0.
/// </summary>
internal sealed record ComparedArm(
    string? Key,
    double? Effect,
    double? Difference,
    double? StandardError,
    FrequentistView? Frequentist,
    SequentialView? Sequential,
    BayesianView? Bayesian,
    CupedView? Cuped,
    ComparisonReason? Reason
)
{
    public static ComparedArm Of(string? key, Comparison comparison) =>
        comparison.Difference is not { } difference
            ? new(key, null, null, null, null, null, null, null, comparison.Reason)
            : new(
                key,
                comparison.Effect,
                difference.Value,
                difference.StandardError,
                new(comparison.PValue, Bounds(comparison.Interval), difference.DegreesOfFreedom)
                {
                    CiReason = ReasonOf(comparison.Interval, comparison),
                },
                new(comparison.SequentialPValue, Bounds(comparison.SequentialInterval))
                {
                    CiReason = ReasonOf(comparison.SequentialInterval, comparison),
                },
                comparison.ChanceToWin is not { } chance
                    ? null
                    : new(
                        chance,
                        Bounds(comparison.CredibleInterval),
                        comparison.ExpectedLoss is { } loss ? [loss.Keeping, loss.Shipping] : null
                    )
                    {
                        CiReason = ReasonOf(comparison.CredibleInterval, comparison),
                    },
                comparison.Theta is { } theta ? new(theta.X) { DenominatorTheta = theta.W == 0 ? null : theta.W } : null,
                comparison.Effect is null ? ComparisonReason.ZeroBaseline : null
            );

    private static IReadOnlyList<double?> Bounds(Interval? interval) => [interval?.Low, interval?.High];

    private static ComparisonReason? ReasonOf(Interval? interval, Comparison comparison) =>
        interval is null ? comparison.UnboundedReason : null;
}

/// <summary>A fixed-horizon test (Welch), valid for a single look at a time chosen in advance.</summary>
internal sealed record FrequentistView(double PValue, IReadOnlyList<double?> Ci, double DegreesOfFreedom)
{
    /// <summary>Why the interval has no bounds, where it has none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ComparisonReason? CiReason { get; init; }
}

/// <summary>A sequential test, valid for any number of looks at any time.</summary>
internal sealed record SequentialView(double PValue, IReadOnlyList<double?> Ci)
{
    /// <summary>Why the interval has no bounds, where it has none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ComparisonReason? CiReason { get; init; }
}

/// <summary>
/// The posterior of the effect. The expected losses are those of keeping control and of shipping the treatment, in units of the effect.
/// </summary>
internal sealed record BayesianView(double ChanceToWin, IReadOnlyList<double?> Ci, IReadOnlyList<double>? ExpectedLoss)
{
    /// <summary>Why the interval has no bounds, where it has none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ComparisonReason? CiReason { get; init; }
}

/// <summary>The coefficient of the covariate adjustment.</summary>
internal sealed record CupedView(double Theta)
{
    /// <summary>Of a ratio, the coefficient of what its denominator was before the exposure.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? DenominatorTheta { get; init; }
}
