namespace Experiments.Api.Statistics;

/// <summary>The interval of a difference in proportion to the mean of control.</summary>
/// <remarks>
/// All ratios r for which |Δ - r ȳ_C| is at most k standard errors: (Δ - r a)² ≤ k² (V - 2 r c + r² A), with a = |ȳ_C|, A the variance
/// of that mean and c its covariance with Δ. It holds 0 exactly where the test on the difference with the same k does not reject, so
/// that test and interval agree by construction. Where a is not k standard errors from 0 (k² A ≥ a²) the data do not bound the ratio,
/// and there is no interval. E. C. Fieller, Journal of the Royal Statistical Society B 16 (1954) 175-185. Checked against 50-digit
/// values.
/// </remarks>
internal static class Fieller
{
    /// <summary>The bounds; null where the data do not bound the ratio.</summary>
    /// <param name="difference">Δ.</param>
    /// <param name="variance">V.</param>
    /// <param name="control">ȳ_C with A and c.</param>
    /// <param name="multiplier">k: how many standard errors the interval is wide on each side.</param>
    /// <param name="alternative">Which of the bounds are asked for.</param>
    public static Interval? Bounds(double difference, double variance, ControlMean control, double multiplier, Alternative alternative)
    {
        var (a, covariance, k2) = (Math.Abs(control.Value), control.Covariance * Math.Sign(control.Value), multiplier * multiplier);
        var leading = (a * a) - (k2 * control.Variance);
        if (!(leading > 0))
        {
            return null;
        }

        // The roots of leading r² - 2 half r + rest. Their distance is written out, since as half² - leading · rest it would be the
        // small difference of two large numbers.
        var half = (difference * a) - (k2 * covariance);
        var rest = (difference * difference) - (k2 * variance);
        var spread = Math.Sqrt(
            k2
                * Math.Max(
                    0,
                    (a * a * variance)
                        - (2 * difference * a * covariance)
                        + (difference * difference * control.Variance)
                        - (k2 * ((control.Variance * variance) - (covariance * covariance)))
                )
        );
        var larger = half + (half < 0 ? -spread : spread);
        var (one, other) = (larger / leading, larger == 0 ? 0 : rest / larger);
        var (low, high) = (Math.Min(one, other), Math.Max(one, other));
        return !double.IsFinite(low) || !double.IsFinite(high)
            ? null
            : alternative switch
            {
                Alternative.Greater => new(low, null),
                Alternative.Less => new(null, high),
                _ => new(low, high),
            };
    }
}
