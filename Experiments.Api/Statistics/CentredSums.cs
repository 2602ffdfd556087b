namespace Experiments.Api.Statistics;

/// <summary>
/// Sums of squares and of products about the means. From exact sums they are exact to the last digit, where raw sums as floating-point
/// numbers lose everything once the mean is many standard deviations away from 0.
/// </summary>
/// <param name="YY">Σ (y - ȳ)².</param>
/// <param name="DD">Σ (d - d̄)².</param>
/// <param name="YD">Σ (y - ȳ)(d - d̄).</param>
/// <param name="XX">Σ (x - x̄)².</param>
/// <param name="YX">Σ (y - ȳ)(x - x̄).</param>
internal readonly record struct CentredSums(double YY, double DD, double YD, double XX, double YX)
{
    /// <summary>Σ (w - w̄)², of the covariate of a ratio's denominator.</summary>
    public double WW { get; init; }

    /// <summary>Σ (x - x̄)(w - w̄).</summary>
    public double XW { get; init; }

    /// <summary>Σ (y - ȳ)(w - w̄).</summary>
    public double YW { get; init; }

    /// <summary>Σ (d - d̄)(x - x̄).</summary>
    public double DX { get; init; }

    /// <summary>Σ (d - d̄)(w - w̄).</summary>
    public double DW { get; init; }

    /// <summary>From raw sums, as far as floating-point numbers allow.</summary>
    public static CentredSums Of(SufficientStatistics arm) =>
        arm.N < 1
            ? default
            : new(
                About(arm.N, arm.Sum, arm.Sum, arm.SumSquares),
                About(arm.N, arm.DenominatorSum, arm.DenominatorSum, arm.DenominatorSumSquares),
                About(arm.N, arm.Sum, arm.DenominatorSum, arm.CrossSum),
                About(arm.N, arm.CovariateSum, arm.CovariateSum, arm.CovariateSumSquares),
                About(arm.N, arm.Sum, arm.CovariateSum, arm.CovariateCrossSum)
            )
            {
                WW = About(arm.N, arm.Prior.Sum, arm.Prior.Sum, arm.Prior.SumSquares),
                XW = About(arm.N, arm.CovariateSum, arm.Prior.Sum, arm.Prior.CovariateCrossSum),
                YW = About(arm.N, arm.Sum, arm.Prior.Sum, arm.Prior.CrossSum),
                DX = About(arm.N, arm.DenominatorSum, arm.CovariateSum, arm.Prior.DenominatorCovariateCrossSum),
                DW = About(arm.N, arm.DenominatorSum, arm.Prior.Sum, arm.Prior.DenominatorCrossSum),
            };

    /// <summary>Those of two arms as one sample: both, and what the distance of their means adds.</summary>
    public static CentredSums Together(SufficientStatistics one, SufficientStatistics other)
    {
        var (a, b) = (one.Centred, other.Centred);
        if (one.N == 0 || other.N == 0)
        {
            return one.N == 0 ? b : a;
        }

        var weight = one.N / (one.N + other.N) * other.N;
        var (y, d, x, w) = (
            (one.Sum / one.N) - (other.Sum / other.N),
            (one.DenominatorSum / one.N) - (other.DenominatorSum / other.N),
            (one.CovariateSum / one.N) - (other.CovariateSum / other.N),
            (one.Prior.Sum / one.N) - (other.Prior.Sum / other.N)
        );
        return new(
            a.YY + b.YY + (weight * y * y),
            a.DD + b.DD + (weight * d * d),
            a.YD + b.YD + (weight * y * d),
            a.XX + b.XX + (weight * x * x),
            a.YX + b.YX + (weight * y * x)
        )
        {
            WW = a.WW + b.WW + (weight * w * w),
            XW = a.XW + b.XW + (weight * x * w),
            YW = a.YW + b.YW + (weight * y * w),
            DX = a.DX + b.DX + (weight * d * x),
            DW = a.DW + b.DW + (weight * d * w),
        };
    }

    private static double About(double n, double sum, double other, double cross)
    {
        var about = cross - (sum / n * other);
        // What is left of two numbers that rounding cannot tell apart is nothing.
        return Math.Abs(about) <= 2e-15 * Math.Abs(cross) ? 0 : about;
    }
}
