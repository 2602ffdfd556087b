namespace Experiments.Api.Statistics;

/// <summary>Gauss-Legendre quadrature with 32 points, which is exact for polynomials up to degree 63.</summary>
internal static class Quadrature
{
    private const int Points = 32;

    // The positive half of the nodes on [-1, 1], with their weights; the rule is symmetric.
    private static readonly (double Node, double Weight)[] Half = [.. Enumerable.Range(0, Points / 2).Select(Find)];

    public static double Integrate(Func<double, double> integrand, double from, double to)
    {
        if (to <= from)
        {
            return 0;
        }

        var (middle, radius) = ((from + to) / 2, (to - from) / 2);
        return radius
            * Half.Sum(point => point.Weight * (integrand(middle - (radius * point.Node)) + integrand(middle + (radius * point.Node))));
    }

    // A root of the Legendre polynomial by Newton's method, and its weight 2 / ((1 - x²) P'(x)²); DLMF 3.5.15 to 3.5.17.
    private static (double Node, double Weight) Find(int index)
    {
        var x = Math.Cos(Math.PI * (index + 0.75) / (Points + 0.5));
        var slope = 0.0;
        for (var i = 0; i < 10; i++)
        {
            (var value, slope) = Legendre(x);
            x -= value / slope;
        }

        slope = Legendre(x).Slope;
        return (x, 2 / ((1 - (x * x)) * slope * slope));
    }

    private static (double Value, double Slope) Legendre(double x)
    {
        var (before, value) = (1.0, x);
        for (var n = 2; n <= Points; n++)
        {
            (before, value) = (value, ((((2 * n) - 1) * x * value) - ((n - 1) * before)) / n);
        }

        return (value, Points * ((x * value) - before) / ((x * x) - 1));
    }
}
