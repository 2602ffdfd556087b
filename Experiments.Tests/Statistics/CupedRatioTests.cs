using Experiments.Api.Statistics;

namespace Experiments.Tests.Statistics;

/// <summary>A ratio with what its numerator and its denominator were before: against least squares on the values themselves.</summary>
public class CupedRatioTests
{
    [Theory]
    [InlineData(1, 0.5)]
    [InlineData(2, 0.1)]
    [InlineData(3, 0.9)]
    public void The_adjusted_effect_is_that_of_least_squares_on_the_identities(int seed, double treatmentWeight)
    {
        var (control, treatment) = Identities(new Random(seed), treatmentWeight, 0.02);
        var all = control.Concat(treatment).ToList();
        var (ratio, mean) = (all.Sum(i => i.Y) / all.Sum(i => i.D), all.Average(i => i.D));
        var (thetaX, thetaW) = LeastSquares([.. all.Select(i => ((i.Y - (ratio * i.D)) / mean, i.X, i.W))]);

        var cuped = Cuped.Between(SumsOf(control), SumsOf(treatment), MetricKind.Ratio);

        cuped.Theta.X.ShouldBe(thetaX, 1e-9);
        cuped.Theta.W.ShouldBe(thetaW, 1e-9);
        var (c, t) = (Adjusted(control, thetaX, thetaW), Adjusted(treatment, thetaX, thetaW));
        cuped.Effect.Value.ShouldBe(t.Mean - c.Mean, 1e-10);
        cuped.Effect.Variance.ShouldBe(t.Variance + c.Variance, 1e-12);
        var plain = Effect.Between(SampleMoments.OfRatio(SumsOf(control)), SampleMoments.OfRatio(SumsOf(treatment)));
        cuped.Effect.Variance.ShouldBeLessThan(0.8 * plain.Variance);
        cuped.Effect.Control.Value.ShouldBe(control.Sum(i => i.Y) / control.Sum(i => i.D), 1e-12);
    }

    [Fact]
    public void Covariates_that_say_the_same_or_nothing_are_one_or_none()
    {
        var (control, treatment) = Identities(new Random(4), 0.5, 0);
        var same = Between(i => i with { W = 2 * i.X });
        same.Theta.W.ShouldBe(0);
        same.Theta.X.ShouldNotBe(0);
        Between(i => i with { X = 0 }).Theta.X.ShouldBe(0);
        Between(i => i with { X = 3, W = 7 }).Theta.ShouldBe(default);
        foreach (var cuped in new[] { same, Between(i => i with { X = 0 }), Between(i => i with { X = 3, W = 7 }) })
        {
            double.IsFinite(cuped.Effect.Value).ShouldBeTrue();
            cuped.Effect.Variance.ShouldBeGreaterThan(0);
        }

        Cuped Between(Func<Identity, Identity> change) =>
            Cuped.Between(SumsOf(control.Select(change)), SumsOf(treatment.Select(change)), MetricKind.Ratio);
    }

    private static (List<Identity> Control, List<Identity> Treatment) Identities(Random random, double treatmentWeight, double lift)
    {
        var arms = (Control: new List<Identity>(), Treatment: new List<Identity>());
        for (var n = 0; n < 600; n++)
        {
            var isTreated = random.NextDouble() < treatmentWeight;
            var (activity, rate) = (1 + random.Next(8), 0.1 + (0.6 * random.NextDouble()));
            var (d, w) = (activity + random.Next(3), activity + random.Next(3));
            var y = Enumerable.Range(0, d).Count(_ => random.NextDouble() < rate + (isTreated ? lift : 0));
            var x = Enumerable.Range(0, w * 3).Count(_ => random.NextDouble() < rate) / 3.0;
            (isTreated ? arms.Treatment : arms.Control).Add(new(y, d, x, w));
        }

        return arms;
    }

    private static (double Mean, double Variance) Adjusted(List<Identity> arm, double thetaX, double thetaW)
    {
        var (ratio, mean) = (arm.Sum(i => i.Y) / arm.Sum(i => i.D), arm.Average(i => i.D));
        var left = arm.Select(i => ((i.Y - (ratio * i.D)) / mean) - (thetaX * i.X) - (thetaW * i.W)).ToList();
        var average = left.Average();
        return (
            ratio - (thetaX * arm.Average(i => i.X)) - (thetaW * arm.Average(i => i.W)),
            left.Sum(value => (value - average) * (value - average)) / (arm.Count - 1) / arm.Count
        );
    }

    // By the residuals of one covariate on the other, so not by the formula that is tested.
    private static (double X, double W) LeastSquares(List<(double Z, double X, double W)> rows)
    {
        var z = Centre(rows.Select(row => row.Z));
        var x = Centre(rows.Select(row => row.X));
        var w = Centre(rows.Select(row => row.W));
        return (Slope(Residuals(x, w), z), Slope(Residuals(w, x), z));

        static double[] Centre(IEnumerable<double> values)
        {
            var list = values.ToArray();
            var mean = list.Average();
            return [.. list.Select(value => value - mean)];
        }

        static double Slope(double[] on, double[] of) => on.Zip(of, (a, b) => a * b).Sum() / on.Sum(a => a * a);
        static double[] Residuals(double[] of, double[] on) => [.. of.Zip(on, (a, b) => a - (Slope(on, of) * b))];
    }

    private static SufficientStatistics SumsOf(IEnumerable<Identity> identities) =>
        identities
            .Select(i => new SufficientStatistics(1, i.Y, i.Y * i.Y, i.D, i.D * i.D, i.Y * i.D, i.X, i.X * i.X, i.Y * i.X)
            {
                Prior = new(i.W, i.W * i.W, i.X * i.W, i.Y * i.W, i.D * i.X, i.D * i.W),
            })
            .Aggregate(SufficientStatistics.Add);

    private sealed record Identity(double Y, double D, double X, double W);
}
