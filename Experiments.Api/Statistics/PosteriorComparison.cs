namespace Experiments.Api.Statistics;

/// <summary>How likely the treatment is better than the control, and what either choice is expected to cost, exactly.</summary>
/// <param name="ChanceToWin">P(treatment > control).</param>
/// <param name="ChanceToLose">P(treatment &lt; control), as itself.</param>
/// <param name="LossOfKeeping">E[max(treatment - control, 0)], in the units of the metric: what keeping control is expected to
/// cost.</param>
/// <param name="LossOfShipping">E[max(control - treatment, 0)]: what shipping the treatment is expected to cost.</param>
/// <remarks>
/// P(T > C) = ∫ f_T F_C and E[max(C - T, 0)] = ∫ F_T (1 - F_C). The integrands are log-concave, so they have one peak; it is found
/// and integrated over as far as it stands out of the rounding, by Gauss and Legendre's rule. Quadrature and not simulation: the
/// same data gives the same digits, and chances of 1e-30 are told as such. Beta-binomial for conversions, gamma-Poisson for
/// counts (which assumes that an identity's events come independently of each other; where they come in bursts, prefer the mean).
/// Checked against 50-digit values to 1e-10.
/// </remarks>
internal sealed record PosteriorComparison(double ChanceToWin, double ChanceToLose, double LossOfKeeping, double LossOfShipping)
{
    public static PosteriorComparison Compare(IPosterior control, IPosterior treatment) =>
        new(OfWinning(control, treatment), OfWinning(treatment, control), Loss(control, treatment), Loss(treatment, control));

    // P(winner > other).
    private static double OfWinning(IPosterior other, IPosterior winner) =>
        Integrate(
            other,
            winner,
            x => winner.Density(x) * other.Tails(x).Lower,
            x => winner.LogDensity(x) + Log(other.Tails(x).Lower, other, x)
        );

    // E[max(chosen - kept, 0)]: what it costs to keep one where the other would have been better.
    private static double Loss(IPosterior kept, IPosterior better) =>
        Integrate(
            kept,
            better,
            x => kept.Tails(x).Lower * better.Tails(x).Upper,
            x => Log(kept.Tails(x).Lower, kept, x) + Log(better.Tails(x).Upper, better, x)
        );

    // Where a tail is too small to be told from zero, the density goes on to say which way is up.
    private static double Log(double tail, IPosterior posterior, double x) =>
        tail > 0 ? Math.Log(tail) : posterior.LogDensity(x) - posterior.LogDensity(posterior.Mean) - 700;

    private static double Integrate(IPosterior one, IPosterior other, Func<double, double> integrand, Func<double, double> log)
    {
        var from = Math.Max(0, Math.Min(one.Mean - (40 * one.StandardDeviation), other.Mean - (40 * other.StandardDeviation)));
        var to = Math.Min(
            Math.Min(one.End, other.End),
            Math.Max(one.Mean + (40 * one.StandardDeviation), other.Mean + (40 * other.StandardDeviation))
        );
        var peak = Peak(log, from, to);
        var height = integrand(peak);
        if (!(height > 0))
        {
            return 0;
        }

        // In pieces that follow what is narrow in either of the two.
        var (left, right) = (Edge(integrand, peak, from, height), Edge(integrand, peak, to, height));
        var cuts = new[] { one, other }
            .SelectMany(posterior =>
                Steps.SelectMany(step =>
                    new[] { posterior.Mean - (step * posterior.StandardDeviation), posterior.Mean + (step * posterior.StandardDeviation) }
                )
            )
            // Towards zero in ever smaller steps: a fractional power begins there.
            .Concat(Enumerable.Range(1, 16).Select(step => peak * Math.Pow(0.25, step)))
            .Concat([left, peak, right, (left + peak) / 2, (peak + right) / 2])
            .Where(cut => cut >= left && cut <= right)
            .Distinct()
            .Order()
            .ToList();
        return cuts.Zip(cuts.Skip(1), (low, high) => Quadrature.Integrate(integrand, low, high)).Sum();
    }

    private static readonly double[] Steps = [0, 1.5, 3, 5, 8, 12, 20, 30];

    // The golden section of a function with one peak.
    private static double Peak(Func<double, double> log, double from, double to)
    {
        var golden = (Math.Sqrt(5) - 1) / 2;
        var (low, high) = (from, to);
        var (a, b) = (high - (golden * (high - low)), low + (golden * (high - low)));
        var (atA, atB) = (log(a), log(b));
        for (var step = 0; step < 80; step++)
        {
            if (atA > atB)
            {
                (high, b, atB) = (b, a, atA);
                a = high - (golden * (high - low));
                atA = log(a);
            }
            else
            {
                (low, a, atA) = (a, b, atB);
                b = low + (golden * (high - low));
                atB = log(b);
            }
        }

        return (low + high) / 2;
    }

    // Where the integrand has fallen below what rounding hides.
    private static double Edge(Func<double, double> integrand, double peak, double end, double height)
    {
        if (integrand(end) > height * 1e-18)
        {
            return end;
        }

        var (inside, outside) = (peak, end);
        for (var step = 0; step < 50; step++)
        {
            var middle = (inside + outside) / 2;
            (inside, outside) = integrand(middle) > height * 1e-18 ? (middle, outside) : (inside, middle);
        }

        return outside;
    }
}
