using Experiments.Api.Domain;
using Experiments.Api.Metrics;
using Experiments.Api.Results;

namespace Experiments.Tests.Results;

public class JudgementTests
{
    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    [Fact]
    public void A_guardrail_that_collapses_is_hurt_though_there_are_too_few_conversions_for_a_test()
    {
        var results = Make([10_000, 10_000], Metric("primary", "increase", [2000, 2600]), Metric("guardrail", "not_decrease", [1000, 2], id: 2));

        results.Metrics[0].Treatments[0].Verdict.ShouldBe("winning");
        results.Metrics[1].Treatments[0].Reason.ShouldBe("guardrail_harmed");
        results.Recommendation.ShouldBe("keep_control");
    }

    [Fact]
    public void Nothing_is_shipped_while_nothing_can_be_said_of_a_guardrail()
    {
        var results = Make([10_000, 10_000], Metric("primary", "increase", [2000, 2600]), Metric("guardrail", "not_increase", [2, 3], id: 2));

        results.Recommendation.ShouldBe("keep_running");
        results.Reasons.ShouldBe(["guardrail_unknown"]);
    }

    [Fact]
    public void A_better_primary_with_safe_guardrails_ships()
    {
        var results = Make([100_000, 100_000], Metric("primary", "increase", [20_000, 22_000]), Metric("guardrail", "not_increase", [20_000, 18_000], id: 2));

        results.Recommendation.ShouldBe("ship green");
        results.Metrics[1].Treatments[0].Reason.ShouldBe("guardrail_safe");
    }

    [Fact]
    public void A_worse_primary_keeps_control_and_where_lower_is_better_lower_wins()
    {
        Make([10_000, 10_000], Metric("primary", "increase", [2600, 2000])).Recommendation.ShouldBe("keep_control");
        Make([10_000, 10_000], Metric("primary", "decrease", [2600, 2000])).Recommendation.ShouldBe("ship green");
    }

    [Fact]
    public void An_arm_without_weight_holds_nothing_up()
    {
        var input = Input([10_000, 10_000, 0], Metric("primary", "increase", [2600, 2000, 0]));

        Judgement.Make(input with { Variants = [("control", 50), ("green", 50), ("red", 0)] }).Recommendation.ShouldBe("keep_control");
    }

    [Fact]
    public void More_tests_make_each_harder_to_pass_whether_or_not_they_can_be_made_yet()
    {
        var alone = Make([10_000, 10_000], Metric("primary", "increase", [2000, 2200]));
        var among = Make([10_000, 10_000], [Metric("primary", "increase", [2000, 2200]), .. Enumerable.Range(2, 9).Select(id => Metric("secondary", "increase", [1, 1], id))]);

        among.Metrics[0].Treatments[0].AdjustedPValue!.Value.ShouldBe(10 * alone.Metrics[0].Treatments[0].AdjustedPValue!.Value, 1e-12);
    }

    [Fact]
    public void A_broken_split_needs_enough_identities_to_be_called_so()
    {
        var few = Judgement.Make(Input([8, 2], Metric("primary", "increase", [0, 0])) with { Variants = [("control", 99), ("green", 1)] });
        few.Recommendation.ShouldBe("keep_running");
        few.SampleRatio.IsHealthy.ShouldBeNull();

        Make([6000, 4000], Metric("primary", "increase", [600, 400])).Recommendation.ShouldBe("fix_the_experiment");
    }

    [Fact]
    public void Identical_values_have_no_variance_and_no_number_is_not_one()
    {
        var sum = 130_942 * 32.58;
        var metric = Metric("primary", "increase", [0, 0]) with { Aggregation = "sum", Sums = [[sum, 130_942 * 32.58 * 32.58, 0, 0, 0, 0, 0, 0], [sum, 130_942 * 32.58 * 32.58, 0, 0, 0, 0, 0, 0]] };

        var result = Judgement.Make(Input([130_942, 130_942], metric)).Metrics[0];

        result.Treatments[0].Reason.ShouldBe("zero_variance");
        result.Arms.ShouldAllBe(arm => arm.StandardError == 0);
    }

    private static ResultsView Make(long[] identities, params MeasuredMetric[] metrics) => Judgement.Make(Input(identities, metrics));

    private static ResultsInput Input(long[] identities, params MeasuredMetric[] metrics)
    {
        string[] keys = ["control", "green", "red"];
        return new(
            [.. identities.Select((_, place) => (keys[place], 100m / identities.Length))],
            identities.Index().ToDictionary(arm => Exposures.InVariant + keys[arm.Index], arm => arm.Item),
            metrics, Noon.AddDays(-3), null, Noon, 0);
    }

    private static MeasuredMetric Metric(string role, string direction, double[] conversions, long id = 1) => new(
        id, 0, id, "m", role, direction, "occurrence", new MetricDefinition(Event: "e"), false, [.. conversions.Select(count => new[] { count, count, 0, 0, 0, 0, 0, 0 })], []);
}
