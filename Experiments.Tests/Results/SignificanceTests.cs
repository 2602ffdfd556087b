using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using MathNet.Numerics.Distributions;

namespace Experiments.Tests.Results;

public class SignificanceTests
{
    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    [Theory]
    // Too few of the one or of the other, however clear it is.
    [InlineData("not_enough_exposure", 99, 20, 99, 60)]
    [InlineData("not_enough_exposure", 10_000, 2000, 99, 60)]
    [InlineData("not_enough_exposure", 99, 20, 10_000, 6000)]
    [InlineData("significant", 100, 20, 100, 60)]
    [InlineData("low_win_probability", 1000, 100, 1000, 105)]
    [InlineData("low_win_probability", 1000, 105, 1000, 100)]
    // Ten of a hundred beside seventeen: likely better, but at a price if it is not.
    [InlineData("high_loss", 100, 10, 100, 17)]
    // PostHog's own example of a p-value of 0.073 beside a chance of 0.966.
    [InlineData("high_p_value", 2608, 269, 2615, 314)]
    // Its funnel of 100 of 118 beside 100 of 110, whose chance is 0.918 and whose loss is 0.0016.
    [InlineData("high_p_value", 118, 100, 110, 100)]
    [InlineData("significant", 10_000, 2000, 10_000, 2600)]
    [InlineData("significant", 10_000, 2600, 10_000, 2000)]
    public void The_words_are_those_of_the_predecessor(string word, long controls, double controlSum, long treatments, double treatmentSum)
    {
        Word("increase", (controls, controlSum), (treatments, treatmentSum)).ShouldBe(word);
        // What is better does not matter: to keep control is a choice as well.
        Word("decrease", (controls, controlSum), (treatments, treatmentSum)).ShouldBe(word);
    }

    [Theory]
    [InlineData(150)]
    [InlineData(600)]
    [InlineData(5000)]
    public void The_word_follows_from_the_sums_in_the_order_of_the_limits(long n)
    {
        var found = new HashSet<string>();
        for (var treatment = 0.08; treatment < 0.2; treatment += 0.002)
        {
            var (c, t) = (Math.Round(0.13 * n) / n, Math.Round(treatment * n) / n);
            var effect = t - c;
            var (vc, vt) = (c * (1 - c) / n, t * (1 - t) / n);
            var error = Math.Sqrt(vt + vc);
            var chance = Normal.CDF(0, 1, Math.Abs(effect) / error);
            var loss = ((error * Normal.PDF(0, 1, effect / error)) - (Math.Abs(effect) * (1 - chance))) / c;
            var freedom = Math.Pow(vt + vc, 2) / (((vt * vt) + (vc * vc)) / (n - 1));
            var p = 2 * StudentT.CDF(0, 1, freedom, -Math.Abs(effect) / error);
            var word =
                chance < 0.9 ? "low_win_probability"
                : loss >= 0.01 ? "high_loss"
                : p >= 0.05 ? "high_p_value"
                : "significant";

            Word("increase", (n, c * n), (n, t * n)).ShouldBe(word, $"{c} beside {t}");
            found.Add(word);
        }

        found.Count.ShouldBeGreaterThan(1);
    }

    [Fact]
    public void Each_treatment_has_its_own_word()
    {
        var words = Make("increase", (10_000, 2000), (10_000, 2600), (99, 20)).Significance![1];

        words.Select(Words.Of).ShouldBe(["significant", "not_enough_exposure"]);
    }

    [Fact]
    public void The_word_is_of_the_plain_test_and_leaves_the_verdict_alone()
    {
        var results = Make("increase", (2600, 520), (2600, 590));
        var treatment = results.Metrics[0].Treatments[0];

        Words.Of(results.Significance![1][0]).ShouldBe("significant");
        treatment.Frequentist!.PValue.ShouldBeLessThan(0.05);
        Words.Of(treatment.Verdict).ShouldBe("inconclusive");
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(2, 3)]
    [InlineData(10_000, 10_000)]
    public void Ten_thousand_identities_are_never_too_few_exposures(double controlSum, double treatmentSum) =>
        Word("increase", (10_000, controlSum), (10_000, treatmentSum)).ShouldBe("low_win_probability");

    private static string Word(string direction, params (long N, double Sum)[] arms) => Words.Of(Make(direction, arms).Significance![1][0]);

    private static ResultsView Make(string direction, params (long N, double Sum)[] arms)
    {
        string[] keys = ["control", "green", "red"];
        var total = arms.Sum(arm => arm.N);
        return ResultsCalculator
            .Make(
                new(
                    // As they came, so that the split is as planned.
                    [.. arms.Select((arm, index) => (keys[index], 100m * arm.N / total))],
                    arms.Index().ToDictionary(arm => ExposureState.InVariant + keys[arm.Index], arm => arm.Item.N),
                    [
                        new(
                            1,
                            1,
                            "m",
                            MetricRole.Primary,
                            Words.Parse<ExpectedDirection>(direction),
                            MetricAggregation.Occurrence,
                            new MetricDefinition(Event: "e"),
                            false,
                            [.. arms.Select(arm => SumsOfArm.Of(arm.Sum, arm.Sum, 0, 0, 0, 0, 0, 0, arm.Sum, 0))],
                            []
                        ),
                    ],
                    Noon.AddDays(-3),
                    null,
                    Noon,
                    0
                )
            )
            .Results;
    }
}
