using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Tests.Statistics;

/// <summary>
/// Experiments in which nothing differs, on the data that product teams have, judged by the service's own verdicts at every one of a
/// hundred looks. The seeds are fixed. Conversions of 10 % and dense means, where any test does well, are in <see cref="Simulations"/>.
/// </summary>
public class VerdictSimulations(ITestOutputHelper output)
{
    private const int Looks = 100;

    // The most that is promised of either tail.
    private const double Promised = 0.02;

    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    public static readonly TheoryData<string, int, int> Nothing = new()
    {
        { "conversion", 50, 20_000 },
        { "conversion", 90, 40_000 },
        { "revenue", 50, 20_000 },
        { "revenue", 90, 40_000 },
        { "revenue", 10, 40_000 },
    };

    [Theory]
    [MemberData(nameof(Nothing))]
    public void Where_nothing_differs_hardly_any_experiment_is_ever_called_better_or_worse(
        string metric,
        int treatmentWeight,
        int identities
    ) => Simulate(metric, treatmentWeight, identities, experiments: 400);

    // For docs/statistics.md.
    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [MemberData(nameof(Nothing))]
    public void The_same_of_four_thousand_experiments(string metric, int treatmentWeight, int identities) =>
        Simulate(metric, treatmentWeight, identities, experiments: 4000);

    private void Simulate(string metric, int treatmentWeight, int identities, int experiments)
    {
        var verdicts = Enumerable
            .Range(0, experiments)
            .Select(number =>
                FirstVerdict(metric, treatmentWeight, identities, new Random((number * 1_000_003) + identities + treatmentWeight))
            )
            .ToList();
        var (losing, winning) = (verdicts.Count(verdict => verdict == "losing"), verdicts.Count(verdict => verdict == "winning"));

        output.WriteLine(
            $"| {metric} of 2 %, control {100 - treatmentWeight} / treatment {treatmentWeight}, to {identities} identities |"
                + $" {Percent(losing)} | {Percent(winning)} |"
        );
        losing.ShouldBeLessThanOrEqualTo(Bound(experiments), "losing");
        winning.ShouldBeLessThanOrEqualTo(Bound(experiments), "winning");

        string Percent(int count) =>
            string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{100.0 * count / experiments:0.0} %");
    }

    // What so many experiments exceed once in a thousand times where the rate is what is promised.
    private static int Bound(int experiments)
    {
        var (k, below) = (0, Deviance.Binomial(0, experiments, Promised));
        while (below < 0.999)
        {
            below += Deviance.Binomial(++k, experiments, Promised);
        }

        return k;
    }

    private static string? FirstVerdict(string metric, int treatmentWeight, int identities, Random random)
    {
        var arms = new SufficientStatistics[2];
        for (var look = 0; look < Looks; look++)
        {
            Come(arms, metric, treatmentWeight, identities / Looks, random);
            // The exact chance, which is no part of a verdict on so many conversions, is what a look costs; a verdict there is only below
            // this.
            if (metric == "conversion" && Comparison.Between(arms[0], arms[1], new(MetricKind.Proportion)).SequentialPValue >= 0.05)
            {
                continue;
            }

            if (Verdict(metric == "conversion" ? "occurrence" : "sum", treatmentWeight, arms) is ("winning" or "losing") and var verdict)
            {
                return verdict;
            }
        }

        return null;
    }

    private static void Come(SufficientStatistics[] arms, string metric, int treatmentWeight, int identities, Random random)
    {
        var n = new int[2];
        for (var identity = 0; identity < identities; identity++)
        {
            var arm = random.Next(100) < treatmentWeight ? 1 : 0;
            n[arm]++;
            if (random.NextDouble() < 0.02)
            {
                var y = metric == "conversion" ? 1 : Math.Exp(Gaussian(random));
                arms[arm] += new SufficientStatistics(0, y, y * y, NonZero: 1);
            }
        }

        arms[0] += new SufficientStatistics(n[0], 0, 0);
        arms[1] += new SufficientStatistics(n[1], 0, 0);
    }

    private static string Verdict(string aggregation, int treatmentWeight, SufficientStatistics[] arms) =>
        Words.Of(
            ResultsCalculator
                .Make(
                    new(
                        [("control", 100 - treatmentWeight), ("green", treatmentWeight)],
                        new Dictionary<string, long>
                        {
                            [ExposureState.InVariant + "control"] = (long)arms[0].N,
                            [ExposureState.InVariant + "green"] = (long)arms[1].N,
                        },
                        [
                            new(
                                1,
                                0,
                                1,
                                "m",
                                MetricRole.Primary,
                                ExpectedDirection.Increase,
                                Words.Parse<MetricAggregation>(aggregation),
                                new MetricDefinition(Event: "e"),
                                false,
                                [.. arms.Select(arm => SumsOfArm.Of(arm.Sum, arm.SumSquares, 0, 0, 0, 0, 0, 0, arm.NonZero, 0))],
                                []
                            ),
                        ],
                        Noon.AddDays(-3),
                        null,
                        Noon,
                        0
                    )
                )
                .Results.Metrics[0]
                .Treatments[0]
                .Verdict
        );

    private static double Gaussian(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
