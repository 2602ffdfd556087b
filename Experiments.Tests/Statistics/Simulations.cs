using Experiments.Api.Statistics;

namespace Experiments.Tests.Statistics;

/// <summary>
/// What the methods do over 20 000 experiments each: how often they err where there is nothing to find, how often their intervals hold
/// the truth, and whether a chance of 95 % comes true 95 times in a hundred. Run by: ./dev test -explicit only -class '*Simulations'
/// </summary>
[Trait("speed", "slow")]
public class Simulations(ITestOutputHelper output)
{
    private const int Experiments = 20_000;
    private const double Alpha = 0.05;

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("mean of skewed values (exponential), 1 000 an arm", "mean")]
    [InlineData("proportion of 10 %, 2 000 an arm", "proportion")]
    [InlineData("ratio, 1 000 an arm", "ratio")]
    [InlineData("mean with a covariate (CUPED, correlation 0.7), 1 000 an arm", "cuped")]
    public void One_look(string name, string kind)
    {
        var (falseFixed, falseSequential, heldFixed, heldSequential) = (0, 0, 0, 0);
        Parallel.For(
            0,
            Experiments,
            number =>
            {
                var random = new Random((kind.Length * 1_000_003) + number);
                var settings = Settings(kind);
                var nothing = Comparison.Between(Arm(kind, random, 1), Arm(kind, random, 1), settings);
                Count(ref falseFixed, nothing.PValue < Alpha);
                Count(ref falseSequential, nothing.SequentialPValue < Alpha);
                // A true lift of a tenth.
                var lifted = Comparison.Between(Arm(kind, random, 1), Arm(kind, random, 1.1), settings);
                Count(ref heldFixed, Holds(lifted.Interval, 0.1));
                Count(ref heldSequential, Holds(lifted.SequentialInterval, 0.1));
            }
        );

        output.WriteLine(
            $"| {name} | {Percent(falseFixed)} | {Percent(falseSequential)} | {Percent(heldFixed)} | {Percent(heldSequential)} |"
        );
        Rate(falseFixed).ShouldBeInRange(0.043, 0.057);
        Rate(falseSequential).ShouldBeLessThan(0.05);
        Rate(heldFixed).ShouldBeInRange(0.943, 0.957);
        Rate(heldSequential).ShouldBeGreaterThan(0.95);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public void Fifty_looks()
    {
        var (falseFixed, falseSequential) = (0, 0);
        Parallel.For(
            0,
            Experiments,
            number =>
            {
                var random = new Random(number);
                var (control, treatment) = (default(SufficientStatistics), default(SufficientStatistics));
                var (fixedFound, sequentialFound) = (false, false);
                for (var look = 0; look < 50; look++)
                {
                    control += Sums("mean", random, 1, 100);
                    treatment += Sums("mean", random, 1, 100);
                    var comparison = Comparison.Between(control, treatment, Settings("mean"));
                    fixedFound |= comparison.PValue < Alpha;
                    sequentialFound |= comparison.SequentialPValue < Alpha;
                }

                Count(ref falseFixed, fixedFound);
                Count(ref falseSequential, sequentialFound);
            }
        );

        output.WriteLine($"| fifty looks, one after every 100 an arm | {Percent(falseFixed)} | {Percent(falseSequential)} | | |");
        Rate(falseFixed).ShouldBeGreaterThan(0.25);
        Rate(falseSequential).ShouldBeLessThan(0.05);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public void Chances_come_true()
    {
        // True lifts come from the prior that the method is told of.
        const double Spread = 0.1;
        var bins = new int[10, 2];
        var held = 0;
        Parallel.For(
            0,
            Experiments,
            number =>
            {
                var random = new Random(7_000_000 + number);
                var lift = Spread * Gaussian(random);
                var comparison = Comparison.Between(
                    Arm("mean", random, 1),
                    Arm("mean", random, 1 + lift),
                    Settings("mean") with
                    {
                        Prior = (0, Spread * Spread),
                    }
                );
                var bin = Math.Min(9, (int)(10 * comparison.ChanceToWin!.Value));
                Interlocked.Increment(ref bins[bin, 0]);
                if (lift > 0)
                {
                    Interlocked.Increment(ref bins[bin, 1]);
                }

                Count(ref held, Holds(comparison.CredibleInterval, lift));
            }
        );

        output.WriteLine($"| credible interval of 95 % | {Percent(held)} |");
        for (var bin = 0; bin < 10; bin++)
        {
            var share = (double)bins[bin, 1] / bins[bin, 0];
            output.WriteLine($"| chance to win of {10 * bin} to {10 * (bin + 1)} % | {share:P1} |");
            share.ShouldBeInRange((bin / 10.0) - 0.05, ((bin + 1) / 10.0) + 0.05);
        }

        Rate(held).ShouldBeInRange(0.943, 0.957);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public void Sample_ratios_that_are_looked_at_every_hour_alarm_less_than_once_in_a_thousand()
    {
        var alarms = 0;
        const int Looks = 700;
        Parallel.For(
            0,
            Experiments,
            number =>
            {
                var random = new Random(9_000_000 + number);
                var observed = new long[3];
                var alarmed = false;
                for (var look = 0; look < Looks; look++)
                {
                    for (var identity = 0; identity < 100; identity++)
                    {
                        observed[
                            random.NextDouble() is var u && u < 0.5 ? 0
                            : u < 0.8 ? 1
                            : 2
                        ]++;
                    }

                    alarmed |= SequentialSampleRatio.PValue(observed, [50, 30, 20]) < SequentialSampleRatio.Alarm;
                }

                Count(ref alarms, alarmed);
            }
        );

        output.WriteLine($"| sample ratio over {Looks} looks, alarm below 0.001 | {100.0 * alarms / Experiments:0.00} % |");
        ((double)alarms / Experiments).ShouldBeLessThan(0.001);
    }

    private static ComparisonSettings Settings(string kind) =>
        new(
            kind switch
            {
                "proportion" => MetricKind.Proportion,
                "ratio" => MetricKind.Ratio,
                _ => MetricKind.Mean,
            },
            Alpha: Alpha,
            UseCovariate: kind == "cuped"
        );

    private static SufficientStatistics Arm(string kind, Random random, double factor) =>
        Sums(kind, random, factor, kind == "proportion" ? 2000 : 1000);

    private static SufficientStatistics Sums(string kind, Random random, double factor, int n)
    {
        var sums = default(SufficientStatistics);
        for (var identity = 0; identity < n; identity++)
        {
            sums += kind switch
            {
                "proportion" => random.NextDouble() < 0.1 * factor ? new SufficientStatistics(1, 1, 1) : new SufficientStatistics(1, 0, 0),
                "ratio" => Ratio(random, factor),
                "cuped" => Covaried(random, factor),
                _ => One(-Math.Log(1 - random.NextDouble()) * factor),
            };
        }

        return sums;
    }

    private static SufficientStatistics One(double y) => new(1, y, y * y);

    // So many views, and a share of them clicked.
    private static SufficientStatistics Ratio(Random random, double factor)
    {
        var d = 1 + random.Next(10);
        var y = 0.0;
        for (var view = 0; view < d; view++)
        {
            y += random.NextDouble() < 0.3 * factor ? 1 : 0;
        }

        return new(1, y, y * y, d, d * d, y * d);
    }

    private static SufficientStatistics Covaried(Random random, double factor)
    {
        var x = 5 + Gaussian(random);
        var y = factor * (5 + (0.7 * (x - 5)) + (Math.Sqrt(0.51) * Gaussian(random)));
        return new(1, y, y * y, CovariateSum: x, CovariateSumSquares: x * x, CovariateCrossSum: x * y);
    }

    private static double Gaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static bool Holds(Interval? interval, double truth) => interval?.Low <= truth && truth <= interval?.High;

    private static void Count(ref int counter, bool holds)
    {
        if (holds)
        {
            Interlocked.Increment(ref counter);
        }
    }

    private static double Rate(int count) => (double)count / Experiments;

    private static string Percent(int count) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{100.0 * count / Experiments:0.0} %");
}
