using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Tests.Results;

public class ResultsCalculatorTests
{
    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    [Fact]
    public void A_guardrail_that_collapses_is_hurt_though_there_are_too_few_conversions_for_a_test()
    {
        var results = Make(
            [10_000, 10_000],
            Metric("primary", "increase", [2000, 2600]),
            Metric("guardrail", "not_decrease", [1000, 2], id: 2)
        );

        Words.Of(results.Metrics[0].Treatments[0].Verdict).ShouldBe("winning");
        Words.Of(results.Metrics[1].Treatments[0].Reason).ShouldBe("guardrail_harmed");
        Action(results).ShouldBe("keep_control");
    }

    [Fact]
    public void A_guardrail_that_cannot_be_judged_yet_is_named_beside_what_is_shipped()
    {
        var results = Make(
            [10_000, 10_000],
            Metric("primary", "increase", [2000, 2600]),
            Metric("guardrail", "not_increase", [2, 3], id: 2)
        );

        Action(results).ShouldBe("ship green");
        Codes(results).ShouldBe(["significantly_better", "guardrail_not_judged"]);
        results.Recommendation.DecidedBy.Select(metric => metric.Metric).ShouldBe([1L, 2L]);
        results.Recommendation.Reasons[1].Text.ShouldContain("2 of 25 conversions");
    }

    [Fact]
    public void A_better_primary_with_safe_guardrails_ships()
    {
        var results = Make(
            [100_000, 100_000],
            Metric("primary", "increase", [20_000, 22_000]),
            Metric("guardrail", "not_increase", [20_000, 18_000], id: 2)
        );

        Action(results).ShouldBe("ship green");
        Words.Of(results.Metrics[1].Treatments[0].Reason).ShouldBe("guardrail_safe");
    }

    [Fact]
    public void A_worse_primary_keeps_control_and_where_lower_is_better_lower_wins()
    {
        Action(Make([10_000, 10_000], Metric("primary", "increase", [2600, 2000]))).ShouldBe("keep_control");
        Action(Make([10_000, 10_000], Metric("primary", "decrease", [2600, 2000]))).ShouldBe("ship green");
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void A_harm_of_twenty_times_is_never_shipped(double inControl)
    {
        var results = Make(
            [500, 500],
            Metric("primary", "increase", [100, 220]),
            Metric("guardrail", "not_increase", [inControl, 100], id: 2)
        );

        Words.Of(results.Metrics[1].Treatments[0].Reason).ShouldBe("guardrail_harmed");
        Action(results).ShouldBe("keep_control");
    }

    [Theory]
    [InlineData("sum", 49, 400)]
    [InlineData("count", 400, 49)]
    [InlineData("mean", 3, 2)]
    public void The_means_of_few_values_are_not_compared(string aggregation, long inControl, long inTreatment)
    {
        // Three buyers against two, or a few whales: whatever the means say, they follow from these few.
        var arm = Make([10_000, 10_000], Values(aggregation, "increase", (inControl, 40), (inTreatment, 3))).Metrics[0].Treatments[0];

        (Words.Of(arm.Verdict), Words.Of(arm.Reason)).ShouldBe(
            inTreatment < inControl && inControl == 400 ? ("losing", "share_with_value") : ("collecting_data", "not_enough_values")
        );
        arm.Frequentist.ShouldBeNull();
    }

    [Fact]
    public void From_fifty_values_an_arm_on_means_are_compared()
    {
        var results = Make([10_000, 10_000], Values("sum", "increase", (50, 40), (50, 40))).Metrics[0];

        Words.Of(results.Treatments[0].Reason).ShouldBe("not_significant");
        results.Arms.Select(arm => arm.NonZero).ShouldBe([50L, 50L]);
    }

    [Theory]
    [InlineData("ratio", 50, 50, 49, 60, "not_enough_values")]
    [InlineData("ratio", 49, 60, 60, 60, "not_enough_values")]
    [InlineData("ratio", 50, 60, 50, 60, "not_significant")]
    [InlineData("retention", 49, 600, 60, 600, "not_enough_values")]
    public void A_ratio_needs_numerators_and_denominators(
        string aggregation,
        long numerators,
        long denominators,
        long others,
        long otherDenominators,
        string reason
    )
    {
        var metric = Values(aggregation, "increase", (0, 0), (0, 0)) with
        {
            Sums =
            [
                .. new[] { (Y: numerators, D: denominators), (Y: others, D: otherDenominators) }.Select(arm =>
                    SumsOfArm.Of(arm.Y, arm.Y, arm.D, arm.D, arm.Y, 0, 0, 0, arm.Y, arm.D)
                ),
            ],
        };

        Words.Of(Make([10_000, 10_000], metric).Metrics[0].Treatments[0].Reason).ShouldBe(reason);
    }

    [Theory]
    [InlineData("increase", 500, 0, "losing", "share_with_value")]
    [InlineData("decrease", 0, 500, "losing", "share_with_value")]
    [InlineData("increase", 0, 500, "collecting_data", "not_enough_values")]
    [InlineData("decrease", 500, 0, "collecting_data", "not_enough_values")]
    [InlineData("not_decrease", 500, 0, "losing", "share_with_value")]
    [InlineData("increase", 30, 25, "collecting_data", "not_enough_values")]
    public void Values_that_are_lost_altogether_are_seen_before_there_are_enough_to_compare(
        string direction,
        long inControl,
        long inTreatment,
        string verdict,
        string reason
    )
    {
        var arm = Make([10_000, 10_000], Values("sum", direction, (inControl, 10), (inTreatment, 10))).Metrics[0].Treatments[0];

        (Words.Of(arm.Verdict), Words.Of(arm.Reason)).ShouldBe((verdict, reason));
        (arm.ShareWithValue!.Control, arm.ShareWithValue.Treatment).ShouldBe((inControl / 10_000.0, inTreatment / 10_000.0));
    }

    [Fact]
    public void A_guardrail_whose_values_are_lost_keeps_control()
    {
        var results = Make(
            [10_000, 10_000],
            Metric("primary", "increase", [2000, 2600]),
            Values("sum", "not_decrease", (500, 10), (0, 0), "guardrail", 2)
        );

        Action(results).ShouldBe("keep_control");
        Codes(results).ShouldBe(["share_with_value"]);
    }

    [Fact]
    public void A_metric_that_fails_takes_nothing_but_itself_away()
    {
        var failures = new List<long>();
        var broken = Metric("secondary", "increase", [0, 0], id: 2) with { Sums = [] };

        var (results, _) = ResultsCalculator.Make(
            Input(
                [10_000, 10_000],
                Metric("primary", "increase", [2000, 2600]),
                broken,
                Metric("guardrail", "not_increase", [2000, 1800], 3)
            ),
            (link, _) => failures.Add(link)
        );

        failures.ShouldBe([2L]);
        results.Metrics[1].Error.ShouldNotBeNullOrEmpty();
        Words.Of(results.Metrics[1].Treatments[0].Reason).ShouldBe("metric_failed");
        Words.Of(results.Metrics[0].Treatments[0].Verdict).ShouldBe("winning");
        Action(results).ShouldBe("ship green");
    }

    [Fact]
    public void Nothing_is_shipped_past_a_guardrail_that_fails()
    {
        var broken = Metric("guardrail", "not_increase", [0, 0], id: 2) with { Failed = true };

        var results = Make([10_000, 10_000], Metric("primary", "increase", [2000, 2600]), broken);
        Action(results).ShouldBe("keep_running");
        Codes(results).ShouldBe(["guardrail_failed"]);
    }

    [Fact]
    public void A_covariate_that_says_everything_costs_a_metric_its_test_and_the_others_nothing()
    {
        var told = Values("sum", "increase", (0, 0), (0, 0), "secondary", 2) with
        {
            Definition = new MetricDefinition(Event: "e", LookbackDays: 7),
            Sums = [.. new double[] { 4000, 6000 }.Select(sum => SumsOfArm.Of(sum, sum, 0, 0, 0, sum, sum, sum, sum, 0))],
        };

        var results = Make([10_000, 10_000], Metric("primary", "increase", [2000, 2600]), told);

        Words.Of(results.Metrics[1].Treatments[0].Reason).ShouldBe("zero_variance");
        Action(results).ShouldBe("ship green");
        Should.NotThrow(() => System.Text.Json.JsonSerializer.Serialize(results));
    }

    [Fact]
    public void An_arm_without_weight_holds_nothing_up()
    {
        var input = Input([10_000, 10_000, 0], Metric("primary", "increase", [2600, 2000, 0]));

        var (results, _) = ResultsCalculator.Make(input with { Variants = [("control", 50), ("green", 50), ("red", 0)] });

        Action(results).ShouldBe("keep_control");
        results.Metrics[0].Treatments[0].AdjustedSequentialPValue.ShouldBe(results.Metrics[0].Treatments[0].Sequential!.PValue);
    }

    [Fact]
    public void Secondary_metrics_are_a_family_of_their_own_and_those_without_data_are_in_none()
    {
        var primary = Metric("primary", "increase", [2000, 2200]);
        var alone = Make([10_000, 10_000], primary, Metric("secondary", "increase", [2000, 2200], 2)).Metrics;
        var among = Make(
            [10_000, 10_000],
            [
                primary,
                Metric("secondary", "increase", [2000, 2200], 2),
                .. Enumerable.Range(3, 4).Select(id => Metric("secondary", "increase", [1, 1], id)),
                .. Enumerable.Range(7, 4).Select(id => Metric("secondary", "increase", [0, 0], id)),
            ]
        ).Metrics;

        among[0].Treatments[0].AdjustedPValue.ShouldBe(alone[0].Treatments[0].AdjustedPValue);
        among[1].Treatments[0].AdjustedPValue!.Value.ShouldBe(5 * alone[1].Treatments[0].AdjustedPValue!.Value, 1e-12);
    }

    [Fact]
    public void A_secondary_metric_wins_only_once_the_primary_is_decided_but_its_harm_is_told_at_once()
    {
        var better = Metric("secondary", "increase", [2000, 2600], 2);
        var worse = Metric("secondary", "increase", [2600, 2000], 3);

        var open = Make([10_000, 10_000], Metric("primary", "increase", [2000, 2000]), better, worse);
        var decided = Make([10_000, 10_000], Metric("primary", "increase", [2000, 2600]), better, worse);

        Reasons(open).ShouldBe(["not_significant", "primary_not_decided", "significantly_worse"]);
        Reasons(decided).ShouldBe(["significantly_better", "significantly_better", "significantly_worse"]);
        Codes(decided).ShouldBe(["significantly_better", "secondary_worse"]);
    }

    [Fact]
    public void A_broken_split_is_told_from_chance_at_any_size()
    {
        var few = Make([8, 2], Metric("primary", "increase", [0, 0]));
        Action(few).ShouldBe("keep_running");
        few.SampleRatio.IsHealthy.ShouldBe(true);

        var broken = Make([6000, 4000], Metric("primary", "increase", [600, 400]));
        Action(broken).ShouldBe("fix_the_experiment");
        broken.SampleRatio.SequentialPValue!.Value.ShouldBeLessThan(0.001);
    }

    [Fact]
    public void Identical_values_have_no_variance_and_no_number_is_not_one()
    {
        var sum = 130_942 * 32.58;
        var metric = Metric("primary", "increase", [0, 0]) with
        {
            Aggregation = MetricAggregation.Sum,
            Sums =
            [
                SumsOfArm.Of(sum, 130_942 * 32.58 * 32.58, 0, 0, 0, 0, 0, 0, 130_942, 0),
                SumsOfArm.Of(sum, 130_942 * 32.58 * 32.58, 0, 0, 0, 0, 0, 0, 130_942, 0),
            ],
        };

        var result = Make([130_942, 130_942], metric).Metrics[0];

        Words.Of(result.Treatments[0].Reason).ShouldBe("zero_variance");
        result.Arms.ShouldAllBe(arm => arm.StandardError == 0);
    }

    private static ResultsView Make(long[] identities, params MeasuredMetric[] metrics) =>
        ResultsCalculator.Make(Input(identities, metrics)).Results;

    private static string Action(ResultsView results) =>
        $"{Words.Of(results.Recommendation.Action)} {results.Recommendation.Variant}".Trim();

    private static IEnumerable<string> Codes(ResultsView results) => results.Recommendation.Reasons.Select(reason => Words.Of(reason.Code));

    private static IEnumerable<string> Reasons(ResultsView results) =>
        results.Metrics.Select(metric => Words.Of(metric.Treatments[0].Reason));

    private static ResultsInput Input(long[] identities, params MeasuredMetric[] metrics)
    {
        string[] keys = ["control", "green", "red"];
        return new(
            [.. identities.Select((_, index) => (keys[index], 100m / identities.Length))],
            identities.Index().ToDictionary(arm => ExposureState.InVariant + keys[arm.Index], arm => arm.Item),
            metrics,
            Noon.AddDays(-3),
            null,
            Noon,
            0
        );
    }

    // So many identities of each arm with about such a value, half of them a little more and half a little less.
    private static MeasuredMetric Values(
        string aggregation,
        string direction,
        (long Count, double Value) control,
        (long Count, double Value) treatment,
        string role = "primary",
        long id = 1
    ) =>
        new(
            id,
            id,
            "m",
            Words.Parse<MetricRole>(role),
            Words.Parse<ExpectedDirection>(direction),
            Words.Parse<MetricAggregation>(aggregation),
            new MetricDefinition(Event: "e"),
            false,
            [
                .. new[] { control, treatment }.Select(arm =>
                    SumsOfArm.Of(arm.Count * arm.Value, arm.Count * arm.Value * arm.Value * 1.25, 0, 0, 0, 0, 0, 0, arm.Count, 0)
                ),
            ],
            []
        );

    private static MeasuredMetric Metric(string role, string direction, double[] conversions, long id = 1) =>
        new(
            id,
            id,
            "m",
            Words.Parse<MetricRole>(role),
            Words.Parse<ExpectedDirection>(direction),
            MetricAggregation.Occurrence,
            new MetricDefinition(Event: "e"),
            false,
            [.. conversions.Select(count => SumsOfArm.Of(count, count, 0, 0, 0, 0, 0, 0, count, 0))],
            []
        );
}
