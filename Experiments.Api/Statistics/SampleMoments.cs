namespace Experiments.Api.Statistics;

/// <summary>The mean of an arm and the variance of one identity in it.</summary>
/// <remarks>
/// A mean has s² = (Σy² - (Σy)² / n) / (n - 1); a proportion p (1 - p), without n / (n - 1); a ratio R = Σy / Σd, by the delta
/// method, s_y² / d̄² + s_d² ȳ² / d̄⁴ - 2 s_yd ȳ / d̄³. A variance that rounding makes a little negative is zero.
/// </remarks>
internal readonly record struct SampleMoments(double N, double Mean, double Variance)
{
    private const double Rounding = 1e-12;

    public static SampleMoments OfMean(SufficientStatistics arm) =>
        new(arm.N, arm.Sum / arm.N, Math.Max(0, PerIdentity(arm.N, arm.Centred.YY)));

    public static SampleMoments OfProportion(SufficientStatistics arm)
    {
        var p = arm.Sum / arm.N;
        return new(arm.N, p, p * (1 - p));
    }

    public static SampleMoments OfRatio(SufficientStatistics arm)
    {
        var (y, d) = (arm.Sum / arm.N, arm.DenominatorSum / arm.N);
        var centred = arm.Centred;
        var (ofY, ofD, both) = (PerIdentity(arm.N, centred.YY), PerIdentity(arm.N, centred.DD), PerIdentity(arm.N, centred.YD));
        var (a, b, c) = (ofY / (d * d), ofD * y * y / (d * d * d * d), 2 * both * y / (d * d * d));
        var left = a + b - c;
        // What is left of terms that cancel is rounding.
        return new(arm.N, y / d, left > Rounding * (a + b + Math.Abs(c)) ? left : 0);
    }

    /// <summary>An unbiased variance or covariance, from a sum of squares or of products about the means.</summary>
    public static double PerIdentity(double n, double centred) => n > 1 ? centred / (n - 1) : 0;

    /// <summary>
    /// Whether these could be the sums, the sums of squares and the sum of products of any <paramref name="n"/> pairs of numbers: the
    /// square of a covariance is at most the product of the variances (Cauchy and Schwarz).
    /// </summary>
    public static bool IsPossible(double n, (double Sum, double Squares) one, (double Sum, double Squares) other, double cross)
    {
        var (a, b) = (one.Squares - (one.Sum / n * one.Sum), other.Squares - (other.Sum / n * other.Sum));
        var both = cross - (one.Sum / n * other.Sum);
        // What rounding of the sums may amount to.
        var slack = 1e-9 * Math.Sqrt(Math.Abs(one.Squares) * Math.Abs(other.Squares));
        return Math.Abs(both) <= Math.Sqrt(Math.Max(0, a) * Math.Max(0, b)) + slack;
    }

    /// <summary>Whether these could be the sum and the sum of squares of any <paramref name="n"/> numbers.</summary>
    public static bool IsPossible(double n, double sum, double sumSquares) => sumSquares - (sum / n * sum) >= -1e-9 * Math.Abs(sumSquares);
}
