using MathNet.Numerics.Integration;

namespace Experiments.Api.Statistics;

/// <summary>Gauss and Legendre's rule of 32 points: exact for polynomials of degree 63.</summary>
internal static class Quadrature
{
    public static double Integrate(Func<double, double> integrand, double from, double to) =>
        to > from ? GaussLegendreRule.Integrate(integrand, from, to, 32) : 0;
}
