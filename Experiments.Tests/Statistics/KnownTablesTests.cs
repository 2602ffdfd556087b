using System.Text.Json.Nodes;
using Experiments.Api.Statistics;

namespace Experiments.Tests.Statistics;

/// <summary>The published numbers of the two predecessors.</summary>
public class KnownTablesTests
{
    private static readonly JsonObject Flagsmith = JsonNode
        .Parse(Repository.Read("Experiments.Tests/Statistics/flagsmith.json"))!
        .AsObject();

    [Fact]
    public void Flagsmiths_moments()
    {
        foreach (var one in Flagsmith["moments"]!.AsArray())
        {
            var unit = SampleMoments.OfMean(Arm(one!["input"]!));
            unit.Mean.ShouldBe(one["mean"]!.GetValue<double>(), 1e-12);
            unit.Variance.ShouldBe(one["variance"]!.GetValue<double>(), 1e-10);
        }
    }

    [Fact]
    public void Flagsmiths_comparisons_and_a_reason_where_it_claims_certainty()
    {
        foreach (var one in Flagsmith["compare"]!.AsArray())
        {
            var id = one!["id"]!.GetValue<string>();
            var comparison = Comparison.Between(Arm(one["control"]!), Arm(one["treatment"]!), new(MetricKind.Mean));
            var reference = one["reference"];
            if (id == "negative_control_mean")
            {
                // It refuses these; here the effect is in proportion to the size of the mean.
                comparison.Effect!.Value.ShouldBe(3.4, 1e-12);
            }
            else if (reference is null || reference["standard_error"]!.GetValue<double>() == 0 || id == "computed_one_arm_zero_variance")
            {
                // From arms that do not vary nothing follows, least of all a chance of 0 or 1.
                comparison.Reason.ShouldNotBeNull(id);
            }
            else
            {
                // Its standard error, interval and chance are of the ratio by the delta method, which are not those of the difference.
                comparison.Effect.ShouldNotBeNull(id).ShouldBe(reference["lift"]!.GetValue<double>(), 1e-12, id);
            }
        }
    }

    [Fact]
    public void Flagsmiths_sample_ratios()
    {
        foreach (var one in Flagsmith["sample_ratio"]!.AsArray())
        {
            var p = SampleRatio.PValue(
                [.. one!["observed"]!.AsArray().Select(n => n!.GetValue<long>())],
                [.. one["shares"]!.AsArray().Select(share => share!.GetValue<double>())]
            );
            if (one["p_value"] is { } expected)
            {
                p!.Value.ShouldBe(expected.GetValue<double>(), 1e-10 * expected.GetValue<double>());
            }
            else
            {
                p.ShouldBeNull();
            }
        }

        foreach (var one in Flagsmith["chi_square"]!.AsArray())
        {
            var tail = one!["tail"]!.GetValue<double>();
            GammaFunction
                .UpperRegularized(one["df"]!.GetValue<double>() / 2, one["x"]!.GetValue<double>() / 2)
                .ShouldBe(tail, 1e-10 * tail);
        }
    }

    [Fact]
    public void The_exact_chances_of_its_older_engine()
    {
        foreach (var one in Flagsmith["conversions"]!.AsArray().Where(one => one!["arms"]!.AsArray().Count == 2))
        {
            var arms = one!["arms"]!
                .AsArray()
                .Select(arm => new BetaPosterior(arm![0]!.GetValue<double>(), arm[1]!.GetValue<double>()))
                .ToList();
            PosteriorComparison.Compare(arms[0], arms[1]).ChanceToWin.ShouldBe(one["chance"]!.GetValue<double>(), 1e-10);
        }
    }

    [Theory]
    [InlineData(267, 2031, 286, 2014, .802, 0.001)]
    [InlineData(100, 18, 100, 10, .918, 0.001)]
    [InlineData(2, 0, 1, 2, .114, 0.001)]
    public void PostHogs_funnels(
        double successes,
        double failures,
        double otherSuccesses,
        double otherFailures,
        double chance,
        double tolerance
    ) =>
        PosteriorComparison
            .Compare(new BetaPosterior(successes + failures, successes), new BetaPosterior(otherSuccesses + otherFailures, otherSuccesses))
            .ChanceToWin.ShouldBe(chance, tolerance);

    [Fact]
    public void PostHogs_counts() =>
        PosteriorComparison.Compare(new GammaPosterior(2608, 269), new GammaPosterior(2615, 314)).ChanceToWin.ShouldBe(.966, 0.001);

    [Fact]
    public void PostHogs_lifts()
    {
        // Its intervals are of the ratio by the delta method.
        Comparison.Between(new(3000, 1400, 52000), new(3500, 2500, 135000), new(MetricKind.Mean)).Effect!.Value.ShouldBe(.53061, 1e-5);
        Comparison.Between(new(3050, 1450, 1450), new(3500, 2600, 2600), new(MetricKind.Proportion)).Effect!.Value.ShouldBe(.56256, 1e-5);
    }

    private static SufficientStatistics Arm(JsonNode arm) =>
        new(arm["n"]!.GetValue<double>(), arm["sum"]!.GetValue<double>(), arm["sum_squares"]!.GetValue<double>());
}
