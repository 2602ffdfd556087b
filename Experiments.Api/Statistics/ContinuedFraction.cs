namespace Experiments.Api.Statistics;

/// <summary>The continued fractions of the incomplete beta and gamma functions.</summary>
internal static class ContinuedFraction
{
    private const double Tiny = 1e-300;
    private const double Enough = 1e-16;
    private const int Most = 1_000_000;

    /// <summary>
    /// What I_x(a, b) is to x^a y^b / B(a, b), with y = 1 - x given by itself, because near one it is all that x still says. For x
    /// below a / (a + b); A. Didonato and A. Morris, ACM TOMS 18 (1992) 360-373, equation 9.
    /// </summary>
    public static double Beta(double x, double y, double a, double b)
    {
        var lambda = a <= b ? a - ((a + b) * x) : ((a + b) * y) - b;
        var (c, c0, c1) = (1 + lambda, b / a, 1 + (1 / a));
        var (p, s, an, bn, next, under) = (1.0, a + 1, 0.0, 1.0, 1.0, c / c1);
        var fraction = c1 / c;
        for (var n = 1; n < Most; n++)
        {
            var t = n / a;
            var w = n * (b - n) * x;
            var e = a / s;
            var alpha = p * (p + c0) * e * e * (w * x);
            e = (1 + t) / (c1 + t + t);
            var beta = n + (w / s) + (e * (c + (n * (1 + y))));
            p = 1 + t;
            s += 2;
            (an, next) = (next, (alpha * an) + (beta * next));
            (bn, under) = (under, (alpha * bn) + (beta * under));
            var before = fraction;
            fraction = next / under;
            // Written so that what is no number ends it as well.
            if (!(Math.Abs(fraction - before) > Enough * fraction))
            {
                break;
            }

            (an, bn, next, under) = (an / under, bn / under, fraction, 1);
        }

        return fraction;
    }

    /// <summary>What Q(a, x) is to x^a e^-x / Γ(a); DLMF 8.9.2, by the modified method of Lentz. For x above a + 1.</summary>
    public static double Gamma(double a, double x)
    {
        var b = x + 1 - a;
        var c = 1 / Tiny;
        var d = 1 / NotZero(b);
        var fraction = d;
        for (var i = 1; i < Most; i++)
        {
            var an = -i * (i - a);
            b += 2;
            d = 1 / NotZero((an * d) + b);
            c = NotZero(b + (an / c));
            fraction *= d * c;
            if (!(Math.Abs((d * c) - 1) >= Enough))
            {
                break;
            }
        }

        return fraction;
    }

    private static double NotZero(double value) => Math.Abs(value) < Tiny ? Tiny : value;
}
