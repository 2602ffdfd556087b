using System.Text.Json.Serialization;
using Experiments.Api.Platform.Wire;
using Experiments.Api.Statistics;

namespace Experiments.Api.Slices.Analysis;

/// <summary>Each treatment beside control.</summary>
[Example(
    """
    {"treatments": [{"key": "green", "effect": 0.2, "standard_error": 0.1534,
        "frequentist": {"p_value": 0.1926, "ci": [-0.1009, 0.5009], "degrees_of_freedom": 1980.6}, "sequential": {"p_value": 1, "ci": [-0.3251, 0.7251]},
        "bayesian": {"chance_to_win": 0.9038, "ci": [-0.1007, 0.5007], "expected_loss": [0.2075, 0.0075]}, "cuped": null, "reason": null}]}
    """)]
internal sealed record ComparisonView(
    IReadOnlyList<ComparedArm> Treatments, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] SampleRatioOf? SampleRatio);

internal sealed record SampleRatioOf(double? PValue);

/// <summary>A treatment beside control, by every method; all null, with the reason, where nothing can be said.</summary>
internal sealed record ComparedArm(
    string? Key, double? Effect, double? StandardError, FrequentistView? Frequentist, SequentialView? Sequential, BayesianView? Bayesian, CupedView? Cuped, string? Reason)
{
    public static ComparedArm Of(string? key, Comparison comparison) => comparison.Effect is not { } effect
        ? new(key, null, null, null, null, null, null, comparison.Reason)
        : new(
            key,
            effect.Value,
            effect.StandardError,
            new(comparison.PValue, Bounds(comparison.Interval), effect.DegreesOfFreedom),
            new(comparison.SequentialPValue, Bounds(comparison.SequentialInterval)),
            new(comparison.ChanceToWin, Bounds(comparison.CredibleInterval), [comparison.ExpectedLoss.Keeping, comparison.ExpectedLoss.Shipping]),
            comparison.Theta is { } theta ? new(theta) : null,
            null);

    public static IReadOnlyList<double?> Bounds(Interval interval) => [interval.Low, interval.High];
}

/// <summary>A test for one look at a time fixed before (Welch).</summary>
internal sealed record FrequentistView(double PValue, IReadOnlyList<double?> Ci, double DegreesOfFreedom);

/// <summary>A test for any number of looks at any time.</summary>
internal sealed record SequentialView(double PValue, IReadOnlyList<double?> Ci);

/// <summary>What is believed of the effect; the expected losses are of keeping control and of shipping the treatment, in units of the effect.</summary>
internal sealed record BayesianView(double ChanceToWin, IReadOnlyList<double?> Ci, IReadOnlyList<double> ExpectedLoss);

/// <summary>How much of the covariate was taken off.</summary>
internal sealed record CupedView(double Theta);
