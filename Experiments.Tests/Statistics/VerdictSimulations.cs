using System.Globalization;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Tests.Statistics;

/// <summary>
/// Experiments in which nothing differs, on the data that product teams have, judged by the service's own rules at every one of two hundred
/// looks. The seeds are fixed. The regular run simulates a few experiments of some rows; the table in docs/statistics.md comes from the
/// explicit one:
/// EXPERIMENTS_SIMULATED=2000 ./dev test -explicit only -class '*VerdictSimulations' -showLiveOutput.
/// </summary>
public class VerdictSimulations(ITestOutputHelper output)
{
    private const int Looks = 200;

    // The most that is promised of either tail.
    private const double Promised = 0.03;

    public static TheoryData<string> Rows => [.. Populations.Keys];

    private static Dictionary<string, Population> Populations { get; } =
        new()
        {
            ["conversion of 0.5 %"] = Conversion(0.005, 40_000),
            ["conversion of 2 %"] = Conversion(0.02, 20_000),
            ["conversion of 10 %"] = Conversion(0.1, 10_000),
            ["conversion of 50 %"] = Conversion(0.5, 10_000),
            ["revenue, 2 % buy, σ = 1"] = Revenue(0.02, 1, 20_000),
            ["revenue, 2 % buy, σ = 1.5"] = Revenue(0.02, 1.5, 20_000),
            ["revenue, 10 % buy, σ = 1"] = Revenue(0.1, 1, 10_000),
            ["revenue, 10 % buy, σ = 1.5"] = Revenue(0.1, 1.5, 10_000),
            ["lognormal, σ = 1.5, everyone"] = Revenue(1, 1.5, 4_000),
            ["profit, mean 0.1, sd 3"] = new("sum", 1, 6_000, random => Of(0.1 + (3 * Gaussian(random)))),
            ["ratio"] = new("ratio", 0.5, 6_000, Ratio),
            ["CUPED, everyone has pre-data (r = 0.7)"] = new("sum", 1, 4_000, random => Cuped(random, 1), UsesCovariate: true),
            ["CUPED of a ratio"] = new("ratio", 1, 6_000, CupedRatio, UsesCovariate: true),
            ["revenue, 10 % buy, σ = 1.5, winsorised at 99 %"] = new(
                "sum",
                0.1,
                10_000,
                random => Of(Math.Exp(1.5 * Gaussian(random))),
                UpperQuantile: 0.99
            ),
            ["CUPED, a third has pre-data"] = new("sum", 1, 4_000, random => Cuped(random, 1.0 / 3), UsesCovariate: true),
        };

    // One row of each kind.
    [Theory]
    [InlineData("conversion of 2 %")]
    [InlineData("revenue, 10 % buy, σ = 1.5")]
    [InlineData("profit, mean 0.1, sd 3")]
    [InlineData("CUPED of a ratio")]
    [InlineData("CUPED, a third has pre-data")]
    [InlineData("revenue, 10 % buy, σ = 1.5, winsorised at 99 %")]
    public void Where_nothing_differs_hardly_any_experiment_is_ever_called_better_or_worse(string population) =>
        Simulate(population, experiments: 12, looks: Looks / 4, threads: 1);

    // For docs/statistics.md.
    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [MemberData(nameof(Rows))]
    public void The_same_of_more_experiments_and_looks(string population) => Simulate(population, Experiments(150), Looks, threads: -1);

    // For docs/statistics.md as well: experiments of the size that the plan recommends, with the effect that they are planned for.
    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("conversion of 2 %", 0.3, 0.5)]
    [InlineData("conversion of 10 %", 0.15, 0.5)]
    [InlineData("conversion of 10 %", 0.15, 0.9)]
    [InlineData("conversion of 10 %", -0.15, 0.5)]
    [InlineData("conversion of 50 %", 0.06, 0.5)]
    [InlineData("revenue, 10 % buy, σ = 1", 0.3, 0.5)]
    [InlineData("revenue, 10 % buy, σ = 1", 0.3, 0.1)]
    [InlineData("lognormal, σ = 1.5, everyone", 0.25, 0.5)]
    [InlineData("ratio", 0.05, 0.5)]
    public void A_planned_effect_is_found_with_the_power_of_the_plan_and_covered_by_the_intervals(
        string name,
        double effect,
        double treatmentWeight
    )
    {
        var experiments = Experiments(200);
        var population = Populations[name];
        var total = population.Plan(effect, treatmentWeight);
        var (found, covered, coveredOnce, judged) = (0, 0, 0, 0);
        Parallel.For(
            0,
            experiments,
            number =>
            {
                var random = new Random((number * 7_000_003) + (int)(1000 * effect));
                var arms = new SufficientStatistics[2];
                var (isFound, isCovered, isCoveredOnce) = (false, true, true);
                for (var look = 0; look < Looks / 2; look++)
                {
                    population.Come(arms, treatmentWeight, (int)(total / (Looks / 2)), random, 1 + effect);
                    var arm = ComparedMetricArm.Of(population.Metric, arms[0], arms[1], treatmentWeight, ArmEvidence.None);
                    isFound |= effect > 0 ? arm.Tests.Better < 0.05 : arm.Tests.Worse < 0.05;
                    isCovered &= !(arm.Tests.Low > effect) && !(arm.Tests.High < effect);
                    isCoveredOnce = arm.Comparison.Interval is not { } interval || (interval.Low <= effect && interval.High >= effect);
                }

                Interlocked.Add(ref found, isFound ? 1 : 0);
                Interlocked.Add(ref covered, isCovered ? 1 : 0);
                Interlocked.Add(ref coveredOnce, isCoveredOnce ? 1 : 0);
                Interlocked.Increment(ref judged);
            }
        );

        output.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"| {name}, {effect:+0 %;-0 %}, treatment {treatmentWeight:0 %} | {total} | {Percent(found):0.0} % | "
                    + $"{Percent(covered):0.0} % | {Percent(coveredOnce):0.0} % |"
            )
        );
        found.ShouldBeGreaterThanOrEqualTo((int)(0.77 * experiments));
        covered.ShouldBeGreaterThanOrEqualTo(experiments - Bound(experiments, 0.05));
        judged.ShouldBe(experiments);

        double Percent(int count) => 100.0 * count / experiments;
    }

    // As many as the documents are made from when EXPERIMENTS_SIMULATED says how many.
    private static int Experiments(int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable("EXPERIMENTS_SIMULATED"), CultureInfo.InvariantCulture, out var count)
            ? count
            : otherwise;

    private void Simulate(string name, int experiments, int looks, int threads)
    {
        var population = Populations[name];
        var cells = new List<string>();
        foreach (var treatmentWeight in new[] { 0.5, 0.9, 0.1 })
        {
            var (losing, winning) = (0, 0);
            Parallel.For(
                0,
                experiments,
                new ParallelOptions { MaxDegreeOfParallelism = threads },
                number =>
                {
                    var random = new Random((number * 1_000_003) + population.Identities + (int)(100 * treatmentWeight));
                    switch (FirstVerdict(population, treatmentWeight, looks, random))
                    {
                        case Verdict.Losing:
                            Interlocked.Increment(ref losing);
                            break;
                        case Verdict.Winning:
                            Interlocked.Increment(ref winning);
                            break;
                    }
                }
            );
            cells.Add($"{Percent(losing)} / {Percent(winning)}");
            losing.ShouldBeLessThanOrEqualTo(Bound(experiments, Promised), $"worse, at {treatmentWeight}");
            winning.ShouldBeLessThanOrEqualTo(Bound(experiments, Promised), $"better, at {treatmentWeight}");
            (losing + winning).ShouldBeLessThanOrEqualTo(Bound(experiments, 0.05), $"either, at {treatmentWeight}");
        }

        output.WriteLine($"| {name}, up to {population.Identities} identities | {string.Join(" | ", cells)} |");

        string Percent(int count) => string.Create(CultureInfo.InvariantCulture, $"{100.0 * count / experiments:0.0}");
    }

    // What so many experiments exceed once in a thousand times where the rate is what is promised.
    private static int Bound(int experiments, double rate)
    {
        var (k, below) = (0, Deviance.Binomial(0, experiments, rate));
        while (below < 0.999)
        {
            below += Deviance.Binomial(++k, experiments, rate);
        }

        return k;
    }

    private static Verdict? FirstVerdict(Population population, double treatmentWeight, int looks, Random random)
    {
        var (arms, metric, values) = (new SufficientStatistics[2], population.Metric, new List<(int Arm, double Value)>());
        for (var look = 0; look < looks; look++)
        {
            // An arm of a tenth needs more identities to have enough values for a test.
            population.Come(arms, treatmentWeight, population.Identities * (treatmentWeight == 0.5 ? 1 : 4) / looks, random, 1, values);
            if (population.UpperQuantile is { } quantile)
            {
                Winsorize(arms, values, quantile);
            }

            // The rest of a comparison costs most of the time and decides nothing.
            if (!MaySignify(metric, arms, treatmentWeight))
            {
                continue;
            }

            var arm = ComparedMetricArm.Of(metric, arms[0], arms[1], treatmentWeight, ArmEvidence.None);
            var (verdict, _) = VerdictRules.Of(metric, arm, new(1, 1, arm.PValue, 1), isGateOpen: true);
            if (verdict is Verdict.Winning or Verdict.Losing)
            {
                return verdict;
            }
        }

        return null;
    }

    // Whether one of the tests that a verdict rests on would be significant if there were no minimum of data.
    private static bool MaySignify(MeasuredMetric metric, SufficientStatistics[] arms, double treatmentWeight)
    {
        if (Math.Min(arms[0].N, arms[1].N) < 2)
        {
            return false;
        }

        var difference = metric.Definition.LookbackDays is null
            ? Effect.Cautiously(Comparison.UnitOf(arms[0], metric.Kind), Comparison.UnitOf(arms[1], metric.Kind))
            : global::Experiments.Api.Statistics.Cuped.Between(arms[0], arms[1], metric.Kind).Cautious;
        if (!double.IsFinite(difference.Value) || !(difference.Variance > 0))
        {
            // What is special about it is for the service to say.
            return true;
        }

        ConversionMartingale? conversions = metric.Kind == MetricKind.Proportion ? new(arms[0].Sum, arms[1].Sum, treatmentWeight) : null;
        return !(SequentialTests.Of(metric, conversions, difference).PValue >= SequentialTests.Alpha)
            || ShareWithValue.Of(metric, arms[0], arms[1], treatmentWeight)?.PValue < SequentialTests.Alpha;
    }

    private static Population Conversion(double rate, int identities) => new("occurrence", rate, identities, _ => Of(1));

    private static Population Revenue(double buyers, double sigma, int identities) =>
        new("sum", buyers, identities, random => Of(Math.Exp(sigma * Gaussian(random))));

    private static SufficientStatistics Of(double y) => new(0, y, y * y, NonZero: 1);

    // Clicks among one to six views.
    private static SufficientStatistics Ratio(Random random)
    {
        var views = 1 + random.Next(6);
        var clicks = Enumerable.Range(0, views).Count(_ => random.NextDouble() < 0.3);
        return new(0, clicks, clicks * clicks, views, views * views, clicks * views, NonZero: clicks > 0 ? 1 : 0, DenominatorNonZero: 1);
    }

    // The same, of identities who click as often as they did before.
    private static SufficientStatistics CupedRatio(Random random)
    {
        var (activity, rate) = (1 + random.Next(6), 0.1 + (0.5 * random.NextDouble()));
        var (views, before) = (activity + random.Next(3), activity + random.Next(3));
        double clicks = Enumerable.Range(0, views).Count(_ => random.NextDouble() < rate);
        double clicked = Enumerable.Range(0, before).Count(_ => random.NextDouble() < rate);
        return new(
            0,
            clicks,
            clicks * clicks,
            views,
            views * views,
            clicks * views,
            clicked,
            clicked * clicked,
            clicks * clicked,
            clicks > 0 ? 1 : 0,
            1
        )
        {
            Prior = new(before, before * before, clicked * before, clicks * before, views * clicked, views * before),
        };
    }

    // At the nearest rank among the values other than zero of both arms, as WinsorizedSums does.
    private static void Winsorize(SufficientStatistics[] arms, List<(int Arm, double Value)> values, double quantile)
    {
        var sorted = values.Select(value => value.Value).Order().ToList();
        var highest = sorted.Count == 0 ? 0 : sorted[(int)Math.Max(1, Math.Ceiling(quantile * sorted.Count)) - 1];
        foreach (var index in new[] { 0, 1 })
        {
            var clamped = values.Where(value => value.Arm == index).Select(value => Math.Min(value.Value, highest)).ToList();
            arms[index] = new(arms[index].N, clamped.Sum(), clamped.Sum(y => y * y)) { NonZero = clamped.Count };
        }
    }

    private static SufficientStatistics Cuped(Random random, double havePreData)
    {
        var habit = Gaussian(random);
        var x = random.NextDouble() < havePreData ? Math.Exp(0.7 * habit) : 0;
        var y = Math.Exp((0.7 * habit) + (0.5 * Gaussian(random)));
        return new(0, y, y * y, CovariateSum: x, CovariateSumSquares: x * x, CovariateCrossSum: y * x, NonZero: 1);
    }

    private static double Gaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>Identities, of which a share has a value; the others have none.</summary>
    private sealed record Population(
        string Aggregation,
        double ShareWithValue,
        int Identities,
        Func<Random, SufficientStatistics> Value,
        bool UsesCovariate = false,
        double? UpperQuantile = null
    )
    {
        private bool IsConversion => Aggregation == "occurrence";

        public MeasuredMetric Metric { get; } =
            new(
                1,
                1,
                "m",
                MetricRole.Primary,
                ExpectedDirection.Increase,
                Words.Parse<MetricAggregation>(Aggregation),
                new MetricDefinition(Event: "e", LookbackDays: UsesCovariate ? 14 : null),
                false,
                [],
                []
            );

        /// <summary>The size that the plan recommends for this effect, from a large sample of the population.</summary>
        public long Plan(double effect, double treatmentWeight)
        {
            var baseline = new SufficientStatistics[2];
            Come(baseline, 0, 200_000, new Random(1));
            return PlanDesign
                .Of(
                    new(Metric.Aggregation, Metric.Definition, MetricRole.Primary, ExpectedDirection.Increase, 0.1),
                    baseline[0],
                    [(decimal)(1 - treatmentWeight), (decimal)treatmentWeight]
                )!
                .SampleSize(effect, 0.8)!
                .Value;
        }

        public void Come(
            SufficientStatistics[] arms,
            double treatmentWeight,
            int identities,
            Random random,
            double factor = 1,
            List<(int Arm, double Value)>? values = null
        )
        {
            var ofTreatment = 0;
            for (var identity = 0; identity < identities; identity++)
            {
                var arm = random.NextDouble() < treatmentWeight ? 1 : 0;
                ofTreatment += arm;
                // Of conversions, more identities have a value; otherwise, values are larger.
                var (share, times) =
                    arm == 0 ? (ShareWithValue, 1)
                    : IsConversion ? (ShareWithValue * factor, 1)
                    : (ShareWithValue, factor);
                if (share == 1 || random.NextDouble() < share)
                {
                    var value = Value(random);
                    values?.Add((arm, value.Sum));
                    arms[arm] +=
                        times == 1
                            ? value
                            : value with
                            {
                                Sum = value.Sum * times,
                                SumSquares = value.SumSquares * times * times,
                                CrossSum = value.CrossSum * times,
                            };
                }
            }

            arms[0] += new SufficientStatistics(identities - ofTreatment, 0, 0);
            arms[1] += new SufficientStatistics(ofTreatment, 0, 0);
        }
    }
}
