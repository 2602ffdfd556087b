using Experiments.Api.Statistics;

namespace Experiments.Tests.Statistics;

/// <summary>
/// What holds for every comparison, whatever the sums: that it has no favourite arm, that its tests and intervals agree, and that it never
/// says anything that is no number.
/// </summary>
public class DifferenceTests
{
    private static readonly MetricKind[] Kinds = [MetricKind.Mean, MetricKind.Proportion, MetricKind.Ratio];

    [Theory]
    [InlineData(20, 5)]
    [InlineData(5, 20)]
    public void A_table_and_its_mirror_have_the_same_p_values(double control, double treatment)
    {
        var comparison = Comparison.Between(new(1000, control, control), new(1000, treatment, treatment), new(MetricKind.Proportion));

        comparison.PValue.ShouldBe(0.0025, 0.00005);
        comparison.SequentialPValue.ShouldBe(0.063, 0.0005);
        comparison.ChanceToWin!.Value.ShouldBe(treatment > control ? 0.9988 : 0.0012, 0.00005);
    }

    [Fact]
    public void Exchanging_the_arms_leaves_every_p_value_and_turns_every_chance_round()
    {
        var random = new Random(20_26);
        for (var number = 0; number < 3000; number++)
        {
            var kind = Kinds[number % 3];
            var (one, other) = (Table(random, kind), Table(random, kind));
            var settings = new ComparisonSettings(kind, UseCovariate: kind == MetricKind.Mean && number % 2 == 0);
            var (there, back) = (Comparison.Between(one, other, settings), Comparison.Between(other, one, settings));
            var table = $"{settings} {one} {other}";

            (there.Difference is null).ShouldBe(back.Difference is null, table);
            if (there.Difference is { } difference)
            {
                back.Difference!.Value.ShouldBe(-difference.Value, 1e-9 * Math.Abs(difference.Value), table);
                Same(there.PValue, back.PValue);
                Same(there.SequentialPValue, back.SequentialPValue);
                Same(there.ChanceToWin!.Value, 1 - back.ChanceToWin!.Value);
            }

            void Same(double value, double mirrored) =>
                Math.Abs(value - mirrored).ShouldBeLessThanOrEqualTo(1e-7 * Math.Max(value, 1e-3), table);
        }
    }

    [Fact]
    public void An_interval_holds_nought_exactly_where_its_test_finds_nothing()
    {
        var random = new Random(1954);
        var bounded = 0;
        for (var number = 0; number < 3000; number++)
        {
            var kind = Kinds[number % 3];
            var (control, treatment) = (Table(random, kind), Table(random, kind));
            foreach (var isRelative in new[] { true, false })
            {
                var alternative = (Alternative)random.Next(3);
                var alpha = random.NextDouble() < 0.5 ? 0.05 : 0.01;
                var comparison = Comparison.Between(
                    control,
                    treatment,
                    new(kind, isRelative, alpha, alternative, UseCovariate: kind == MetricKind.Mean && number % 2 == 0)
                );
                Agree(comparison.PValue, comparison.Interval, alpha);
                Agree(comparison.SequentialPValue, comparison.SequentialInterval, alpha);
                if (comparison.Difference is not null && alternative == Alternative.TwoSided)
                {
                    Agree(
                        2 * Math.Min(comparison.ChanceToWin!.Value, 1 - comparison.ChanceToWin.Value),
                        comparison.CredibleInterval,
                        alpha
                    );
                }
            }

            void Agree(double p, Interval? interval, double alpha)
            {
                if (interval is { } known && Math.Abs(p - alpha) > 1e-9)
                {
                    bounded++;
                    (known.Low > 0 || known.High < 0).ShouldBe(
                        p < alpha,
                        $"{p} beside [{known.Low}, {known.High}] of {control} {treatment}"
                    );
                }
            }
        }

        bounded.ShouldBeGreaterThan(5000);
    }

    [Fact]
    public void In_arms_of_the_same_size_rounding_does_not_choose_the_variance()
    {
        var random = new Random(1);
        for (var n = 50; n < 5000; n++)
        {
            SampleMoments Arm() => new(n, random.NextDouble(), random.NextDouble());
            var (control, treatment) = (Arm(), Arm());

            Effect.Cautiously(control, treatment).ShouldBe(Effect.Between(control, treatment));
        }
    }

    [Fact]
    public void At_any_number_of_looks_the_variance_is_the_larger_of_two_and_the_same_where_arms_are_equally_large()
    {
        // The small arm has met no large value yet.
        var (small, large) = (new SufficientStatistics(100, 100, 110), new SufficientStatistics(900, 1000, 50_000));
        var (ofSmall, ofLarge) = (SampleMoments.OfMean(small), SampleMoments.OfMean(large));

        var pooled = ((100 * ofSmall.Variance) + (900 * ofLarge.Variance)) / 1000;
        Effect.Cautiously(ofSmall, ofLarge).Variance.ShouldBe((pooled / 100) + (pooled / 900), 1e-12);
        Effect.Cautiously(ofLarge, ofSmall).Variance.ShouldBe((pooled / 100) + (pooled / 900), 1e-12);
        Effect.Between(ofSmall, ofLarge).Variance.ShouldBe((ofSmall.Variance / 100) + (ofLarge.Variance / 900), 1e-12);
        Effect
            .Cautiously(ofSmall with { N = 900 }, ofLarge)
            .Variance.ShouldBe(Effect.Between(ofSmall with { N = 900 }, ofLarge).Variance, 1e-12);
    }

    [Fact]
    public void Nothing_but_numbers_and_null_comes_of_any_sums()
    {
        var random = new Random(13);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        for (var number = 0; number < 20_000; number++)
        {
            var kind = Kinds[random.Next(3)];
            var (control, treatment) = (Sums(random), Sums(random));
            // Arms that are alike in everything, or in all but one thing, are where variances vanish.
            treatment = random.Next(4) switch
            {
                0 => control,
                1 => control with { Sum = treatment.Sum },
                2 => control with { CovariateSum = treatment.CovariateSum },
                _ => treatment,
            };
            var settings = new ComparisonSettings(
                kind,
                random.Next(2) == 0,
                Any(random, 0.05, 1e-6, 0.4),
                (Alternative)random.Next(3),
                random.Next(2) == 0,
                random.Next(3) == 0 ? (Any(random, 0, 0.1, -1), Any(random, 1e-6, 0.01, 1e6)) : null,
                Any(random, 1, 5000, 1e9),
                random.Next(2) == 0
            );

            var comparison = Comparison.Between(control, treatment, settings);

            var told = $"{settings} {control} {treatment}";
            (comparison.Difference is null).ShouldBe(comparison.Reason is not null, told);
            foreach (
                var value in new double?[]
                {
                    comparison.Effect,
                    comparison.Difference?.Value,
                    comparison.Difference?.StandardError,
                    comparison.Difference?.DegreesOfFreedom,
                    comparison.PValue,
                    comparison.SequentialPValue,
                    comparison.Interval?.Low,
                    comparison.Interval?.High,
                    comparison.SequentialInterval?.Low,
                    comparison.SequentialInterval?.High,
                    comparison.ChanceToWin,
                    comparison.CredibleInterval?.Low,
                    comparison.CredibleInterval?.High,
                    comparison.ExpectedLoss?.Keeping,
                    comparison.ExpectedLoss?.Shipping,
                    comparison.Theta?.X,
                    comparison.Theta?.W,
                }
            )
            {
                (value is null || double.IsFinite(value.Value)).ShouldBeTrue($"{value} of {told}");
            }

            foreach (var chance in new[] { comparison.PValue, comparison.SequentialPValue, comparison.ChanceToWin ?? 0 })
            {
                chance.ShouldBeInRange(0, 1, told);
            }
        }

        // No loop runs on what is no number: twenty thousand take a second or two, and one that did took ten.
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(60));
    }

    [Fact]
    public void No_loop_of_a_distribution_runs_on_what_is_no_number()
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();

        double.IsNaN(StudentT.UpperQuantile(0.025, double.NaN)).ShouldBeTrue();
        double.IsNaN(StudentT.UpperTail(double.NaN, 10)).ShouldBeTrue();
        double.IsNaN(ContinuedFraction.Beta(double.NaN, 0.5, 2, 3)).ShouldBeTrue();
        double.IsNaN(ContinuedFraction.Gamma(2, double.NaN)).ShouldBeTrue();
        double.IsNaN(Deviance.Binomial(5, 10, double.NaN)).ShouldBeTrue();
        double.IsNaN(Deviance.Poisson(5, double.NaN)).ShouldBeTrue();
        _ = PosteriorComparison.Compare(new GammaPosterior(10, double.NaN), new BetaPosterior(double.NaN, 1));

        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void Conversions_that_are_lost_altogether_are_seen_at_once_and_those_that_fall_evenly_never()
    {
        new ConversionMartingale(500, 0, 0.5).PValue().ShouldBeLessThan(1e-100);
        new ConversionMartingale(0, 12, 0.5).PValue().ShouldBe(new ConversionMartingale(12, 0, 0.5).PValue(), 1e-15);
        new ConversionMartingale(90, 10, 0.1).PValue().ShouldBe(1);
        new ConversionMartingale(0, 0, 0.3).PValue().ShouldBe(1);
        // By hand, from κ = 20: B(10 + 3, 10 + 1) / B(10, 10) · 2⁴ = (10 · 11 · 12 · 10) / (20 · 21 · 22 · 23) · 16.
        new ConversionMartingale(1, 3, 0.5)
            .PValue()
            .ShouldBe(Math.Min(1, 20.0 * 21 * 22 * 23 / (10 * 11 * 12 * 10 * 16)), 1e-12);
        new ConversionMartingale(0, 9, 0.5).PValue().ShouldBe(Product(9), 1e-12);

        static double Product(int conversions) => Enumerable.Range(0, conversions).Aggregate(1.0, (p, i) => p * (20.0 + i) / (10 + i) / 2);
    }

    // Sums that some identities could really have, from few to many and from rare to common.
    private static SufficientStatistics Table(Random random, MetricKind kind)
    {
        var n = (int)Math.Pow(10, 1.5 + (2.5 * random.NextDouble()));
        if (kind == MetricKind.Proportion)
        {
            var sum = random.Next(1, n);
            return new(n, sum, sum);
        }

        var (mean, spread) = (
            Math.Pow(10, (4 * random.NextDouble()) - 2) * (random.Next(5) == 0 ? -1 : 1),
            Math.Pow(10, (3 * random.NextDouble()) - 2)
        );
        var sums = default(SufficientStatistics);
        for (var identity = 0; identity < 50; identity++)
        {
            var x = random.NextDouble();
            var y = mean + (spread * (x + random.NextDouble() - 1));
            var d = 1 + random.Next(5);
            sums += new SufficientStatistics(1, y, y * y, d, d * d, y * d, x, x * x, x * y);
        }

        var times = n / 50.0;
        return new(
            n,
            sums.Sum * times,
            sums.SumSquares * times,
            sums.DenominatorSum * times,
            sums.DenominatorSumSquares * times,
            sums.CrossSum * times,
            sums.CovariateSum * times,
            sums.CovariateSumSquares * times,
            sums.CovariateCrossSum * times
        );
    }

    // Sums as no identities have them, but callers may send.
    private static SufficientStatistics Sums(Random random)
    {
        return new(
            random.Next(6) == 0 ? random.Next(3) : random.Next(2, 100_000),
            One(),
            Square(),
            One(),
            Square(),
            One(),
            One(),
            Square(),
            One()
        );

        double One() => Any(random, 0, 1, 40, -3, 1e-60, 1e60, random.NextDouble() * 1000);

        double Square() => Math.Abs(Any(random, 0, 1, 40, 1e-60, 1e60, random.NextDouble() * 1e6));
    }

    private static double Any(Random random, params double[] values) => values[random.Next(values.Length)];
}
