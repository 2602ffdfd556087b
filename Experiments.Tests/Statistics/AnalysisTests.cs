using Experiments.Api.Slices.Calculators;

namespace Experiments.Tests.Statistics;

public class AnalysisTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_comparison_says_everything_of_each_treatment()
    {
        var reply = (
            await Compare(
                """
                {"kind": "mean", "control": {"key": "control", "n": 2507, "sum": 1196.87, "sum_squares": 37377.9767},
                 "treatments": [{"key": "b", "n": 2461, "sum": 1922.7, "sum_squares": 94698.29}], "weights": {"control": 50, "b": 50}}
                """
            )
        ).Must(200);

        // The sums of PostHog's example; its own p-value is of the ratio by the delta method. Fieller's interval has 0 outside, as the test
        // says.
        var arm = reply["treatments"][0]!;
        arm["key"]!.GetValue<string>().ShouldBe("b");
        arm["effect"]!.GetValue<double>().ShouldBe(0.63646, 1e-5);
        arm["difference"]!.GetValue<double>().ShouldBe(0.303857, 1e-6);
        arm["standard_error"]!.GetValue<double>().ShouldBe(0.145783, 1e-6);
        arm["frequentist"]!["p_value"]!.GetValue<double>().ShouldBe(0.0371933, 1e-7);
        arm["frequentist"]!["degrees_of_freedom"]!.GetValue<double>().ShouldBe(4105.070, 1e-3);
        arm["frequentist"]!["ci"]![0]!.GetValue<double>().ShouldBe(0.0323879, 1e-6);
        arm["frequentist"]!["ci"]![1]!.GetValue<double>().ShouldBe(1.5993633, 1e-6);
        arm["bayesian"]!["chance_to_win"]!.GetValue<double>().ShouldBe(0.9814342, 1e-7);
        arm["bayesian"]!["ci"]![0]!.GetValue<double>().ShouldBe(0.0325403, 1e-6);
        arm["bayesian"]!["expected_loss"]!.AsArray().Count.ShouldBe(2);
        arm["sequential"]!["p_value"]!.GetValue<double>().ShouldBeGreaterThan(arm["frequentist"]!["p_value"]!.GetValue<double>());
        arm["cuped"].ShouldBeNull();
        arm["reason"].ShouldBeNull();
        reply["sample_ratio"]["p_value"]!.GetValue<double>().ShouldBeInRange(0.4, 0.6);
    }

    [Theory]
    [InlineData("proportion", 1529, 87, 1471, 62, -0.25925, 0.06223)]
    public async Task A_proportion_needs_no_squares(string kind, int n, int sum, int otherN, int otherSum, double effect, double p)
    {
        var arm = (
            await Compare(
                $$"""{"kind": "{{kind}}", "control": {"n": {{n}}, "sum": {{sum}}}, "treatments": [{"n": {{otherN}}, "sum":"""
                    + $$""" {{otherSum}}}]}"""
            )
        ).Must(200)["treatments"][0]!;

        arm["effect"]!.GetValue<double>().ShouldBe(effect, 1e-5);
        arm["frequentist"]!["p_value"]!.GetValue<double>().ShouldBe(p, 1e-5);
    }

    [Fact]
    public async Task One_sided_intervals_have_no_end_on_the_other_side()
    {
        var greater = (
            await Compare(
                """{"kind": "proportion", "alternative": "greater", "control": {"n": 100, "sum": 20}, "treatments": [{"n": 100,"""
                    + """ "sum": 30}]}"""
            )
        ).Must(200)["treatments"][0]!;
        var less = (
            await Compare(
                """{"kind": "proportion", "alternative": "less", "control": {"n": 100, "sum": 20}, "treatments": [{"n": 100, "sum": 30}]}"""
            )
        ).Must(200)["treatments"][0]!;

        foreach (var method in new[] { "frequentist", "sequential" })
        {
            greater[method]!["ci"]![1].ShouldBeNull();
            greater[method]!["ci"]![0].ShouldNotBeNull();
            less[method]!["ci"]![0].ShouldBeNull();
        }

        (greater["frequentist"]!["p_value"]!.GetValue<double>() + less["frequentist"]!["p_value"]!.GetValue<double>()).ShouldBe(1, 1e-12);
    }

    [Fact]
    public async Task Where_lower_is_better_winning_is_to_be_lower()
    {
        const string Body =
            """{"kind": "proportion", "direction": "DIRECTION", "control": {"n": 1000, "sum": 200}, "treatments": [{"n": 1000,"""
            + """ "sum": 230}]}""";
        var up = (await Compare(Body.Replace("DIRECTION", "up", StringComparison.Ordinal))).Must(200)["treatments"][0]!["bayesian"]!;
        var down = (await Compare(Body.Replace("DIRECTION", "down", StringComparison.Ordinal))).Must(200)["treatments"][0]!["bayesian"]!;

        (up["chance_to_win"]!.GetValue<double>() + down["chance_to_win"]!.GetValue<double>()).ShouldBe(1, 1e-12);
        down["expected_loss"]![0]!.GetValue<double>().ShouldBe(up["expected_loss"]![1]!.GetValue<double>());
    }

    [Fact]
    public async Task A_covariate_is_taken_off()
    {
        var arm = (
            await Compare(
                """
                {"kind": "mean", "cuped": true,
                 "control": {"n": 4, "sum": 20, "sum_squares": 110, "covariate_sum": 18, "covariate_sum_squares": 90,
                     "covariate_cross_sum": 98},
                 "treatments": [{"n": 4, "sum": 24, "sum_squares": 150, "covariate_sum": 17, "covariate_sum_squares": 79,
                     "covariate_cross_sum": 107}]}
                """
            )
        ).Must(200)["treatments"][0]!;

        arm["cuped"]!["theta"]!.GetValue<double>().ShouldBeGreaterThan(0);
    }

    [Theory]
    [InlineData(
        """{"n": 1, "sum": 1, "sum_squares": 1}""",
        """{"n": 10, "sum": 5, "sum_squares": 5}""",
        "relative",
        "not_enough_identities"
    )]
    [InlineData("""{"n": 10, "sum": 0, "sum_squares": 0}""", """{"n": 10, "sum": 5, "sum_squares": 5}""", "relative", "zero_variance")]
    [InlineData("""{"n": 10, "sum": 10, "sum_squares": 10}""", """{"n": 10, "sum": 20, "sum_squares": 40}""", "absolute", "zero_variance")]
    public async Task Where_nothing_can_be_said_it_says_why(string control, string treatment, string effect, string reason)
    {
        var arm = (
            await Compare($$"""{"kind": "mean", "effect": "{{effect}}", "control": {{control}}, "treatments": [{{treatment}}]}""")
        ).Must(200)["treatments"][0]!;

        arm["reason"]!.GetValue<string>().ShouldBe(reason);
        foreach (var field in new[] { "effect", "standard_error", "frequentist", "sequential", "bayesian" })
        {
            arm[field].ShouldBeNull(field);
        }
    }

    [Fact]
    public async Task Without_a_mean_of_control_there_is_a_difference_and_no_ratio()
    {
        const string Arms = """
            "control": {"n": 1000, "sum": 0, "sum_squares": 1000}, "treatments": [{"n": 1000, "sum": 200, "sum_squares": 1000}]
            """;
        var relative = (await Compare($$"""{"kind": "mean", {{Arms}}}""")).Must(200)["treatments"][0]!;
        var absolute = (await Compare($$"""{"kind": "mean", "effect": "absolute", {{Arms}}}""")).Must(200)["treatments"][0]!;

        relative["effect"].ShouldBeNull();
        relative["reason"]!.GetValue<string>().ShouldBe("zero_baseline");
        relative["difference"]!.GetValue<double>().ShouldBe(0.2);
        foreach (var method in new[] { "frequentist", "sequential" })
        {
            relative[method]!["p_value"]!.GetValue<double>().ShouldBe(absolute[method]!["p_value"]!.GetValue<double>());
            relative[method]!["ci"]!.ToJsonString().ShouldBe("[null,null]");
            relative[method]!["ci_reason"]!.GetValue<string>().ShouldBe("zero_baseline");
            absolute[method]!["ci"]![0]!.GetValue<double>().ShouldBeInRange(0, 0.2);
            absolute[method]!.AsObject().ContainsKey("ci_reason").ShouldBeFalse();
        }

        relative["bayesian"]!["chance_to_win"]!.GetValue<double>().ShouldBe(absolute["bayesian"]!["chance_to_win"]!.GetValue<double>());
        relative["bayesian"]!["expected_loss"].ShouldBeNull();
    }

    [Fact]
    public async Task A_ratio_that_the_data_do_not_bound_has_no_interval_and_says_why()
    {
        // Control's mean is two standard errors from 0: bounded at one look, and not at any number of looks.
        var arm = (
            await Compare("""{"kind": "proportion", "control": {"n": 1000, "sum": 5}, "treatments": [{"n": 1000, "sum": 20}]}""")
        ).Must(200)["treatments"][0]!;

        arm["frequentist"]!["ci"]![0]!.GetValue<double>().ShouldBeGreaterThan(0);
        arm["sequential"]!["ci"]!.ToJsonString().ShouldBe("[null,null]");
        arm["sequential"]!["ci_reason"]!.GetValue<string>().ShouldBe("control_near_zero");
    }

    [Fact]
    public async Task A_covariate_that_says_everything_leaves_nothing_to_test()
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var arm = (
            await Compare(
                """
                {"kind": "mean", "cuped": true,
                 "control": {"n": 100, "sum": 40, "sum_squares": 40, "covariate_sum": 40, "covariate_sum_squares": 40,
                     "covariate_cross_sum": 40},
                 "treatments": [{"n": 100, "sum": 60, "sum_squares": 60, "covariate_sum": 60, "covariate_sum_squares": 60,
                     "covariate_cross_sum": 60}]}
                """
            )
        ).Must(200)["treatments"][0]!;

        arm["reason"]!.GetValue<string>().ShouldBe("zero_variance");
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task A_comparison_ends_when_nobody_waits_for_it()
    {
        var body = new ComparisonBody("mean", Control: new(N: 10, Sum: 5, SumSquares: 5), Treatments: [new(N: 10, Sum: 6, SumSquares: 6)]);

        await Should.ThrowAsync<OperationCanceledException>(() =>
            new CompareArms.Handler().Handle(new(body), new CancellationToken(canceled: true))
        );
    }

    [Theory]
    [InlineData("""{}""", "kind")]
    [InlineData("""{"kind": "median"}""", "kind")]
    [InlineData("""{"kind": "mean"}""", "control")]
    [InlineData("""{"kind": "mean", "control": {"n": 10, "sum": 5, "sum_squares": 5}}""", "treatments")]
    [InlineData(
        """{"kind": "mean", "control": {"n": 10, "sum": 5}, "treatments": [{"n": 10, "sum": 5, "sum_squares": 5}]}""",
        "control.sum_squares"
    )]
    [InlineData(
        """{"kind": "mean", "control": {"n": 10, "sum": 5, "sum_squares": 5}, "treatments": [{"n": -1, "sum": 5, "sum_squares": 5}]}""",
        "treatments[0].n"
    )]
    [InlineData(
        """{"kind": "mean", "control": {"n": 10, "sum": 5, "sum_squares": 1}, "treatments": [{"n": 10, "sum": 5, "sum_squares": 5}]}""",
        "control.sum_squares"
    )]
    [InlineData("""{"kind": "proportion", "control": {"n": 10, "sum": 11}, "treatments": [{"n": 10, "sum": 5}]}""", "control.sum")]
    [InlineData(
        """{"kind": "ratio", "control": {"n": 10, "sum": 5, "sum_squares": 5}, "treatments": [{"n": 10, "sum": 5, "sum_squares": 5}]}""",
        "control.cross_sum"
    )]
    [InlineData("""{"kind": "proportion", "alpha": 0, "control": {"n": 10, "sum": 5}, "treatments": [{"n": 10, "sum": 5}]}""", "alpha")]
    [InlineData(
        """{"kind": "proportion", "prior": {"variance": 0}, "control": {"n": 10, "sum": 5}, "treatments": [{"n": 10, "sum": 5}]}""",
        "prior.variance"
    )]
    [InlineData(
        """{"kind": "proportion", "weights": [1], "control": {"n": 10, "sum": 5}, "treatments": [{"n": 10, "sum": 5}]}""",
        "weights"
    )]
    [InlineData(
        """{"kind": "proportion", "sequential": {"tuning": 0}, "control": {"n": 10, "sum": 5}, "treatments": [{"n": 10, "sum": 5}]}""",
        "sequential.tuning"
    )]
    public async Task What_is_wrong_with_a_comparison_is_named(string body, string field) =>
        (await Compare(body)).MustBe(400, "request.invalid").Fields.ShouldContain(field);

    [Fact]
    public async Task A_sample_size_is_planned_and_read_backwards()
    {
        var plan = (
            await service.Admin.PostText(
                "/api/v1/analysis/sample-size",
                """{"kind": "proportion", "baseline": {"mean": 0.1}, "minimum_detectable_effect": 0.05, "arms": 3,"""
                    + """ "identities_per_day": 1000}"""
            )
        ).Must(200);
        var each = plan["per_arm"].GetValue<long>();
        plan["total"].GetValue<long>().ShouldBe(3 * each);
        plan["days"].GetValue<long>().ShouldBe((long)Math.Ceiling(3 * each / 1000.0));

        var back = (
            await service.Admin.PostText(
                "/api/v1/analysis/sample-size",
                $$"""{"kind": "proportion", "baseline": {"mean": 0.1}, "total": {{3 * each}}, "arms": 3}"""
            )
        ).Must(200);
        back["minimum_detectable_effect"].GetValue<double>().ShouldBe(0.05, 1e-4);
        back.Json!.AsObject().Count.ShouldBe(1);

        var sequential = (
            await service.Admin.PostText(
                "/api/v1/analysis/sample-size",
                """{"kind": "proportion", "baseline": {"mean": 0.1}, "minimum_detectable_effect": 0.05, "sequential": {"tuning": 5000}}"""
            )
        ).Must(200);
        sequential["per_arm"].GetValue<long>().ShouldBeGreaterThan(each);
    }

    [Theory]
    [InlineData("""{"kind": "mean", "baseline": {"mean": 5}, "minimum_detectable_effect": 0.05}""", "baseline.variance")]
    [InlineData("""{"kind": "mean", "baseline": {"mean": 0, "variance": 1}, "minimum_detectable_effect": 0.05}""", "baseline.mean")]
    [InlineData("""{"kind": "proportion", "baseline": {"mean": 1.5}, "minimum_detectable_effect": 0.05}""", "baseline.mean")]
    [InlineData("""{"kind": "proportion", "baseline": {"mean": 0.5}}""", "minimum_detectable_effect")]
    [InlineData(
        """{"kind": "proportion", "baseline": {"mean": 0.5}, "minimum_detectable_effect": 0.05, "total": 100}""",
        "minimum_detectable_effect"
    )]
    [InlineData("""{"kind": "proportion", "baseline": {"mean": 0.5}, "minimum_detectable_effect": 0.05, "power": 1}""", "power")]
    [InlineData("""{"kind": "proportion", "baseline": {"mean": 0.5}, "minimum_detectable_effect": 0.05, "arms": 1}""", "arms")]
    [InlineData("""{"kind": "proportion", "minimum_detectable_effect": 0.05}""", "baseline")]
    public async Task What_is_wrong_with_a_plan_is_named(string body, string field) =>
        (await service.Admin.PostText("/api/v1/analysis/sample-size", body)).MustBe(400, "request.invalid").Fields.ShouldContain(field);

    [Fact]
    public async Task P_values_are_adjusted_in_the_order_in_which_they_came()
    {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.5), "holm") and "BH"
        (await Adjust("holm", "[0.01, 0.04, 0.03, 0.5]")).ShouldBe([0.04, 0.09, 0.09, 0.5], 1e-12);
        (await Adjust("benjamini_hochberg", "[0.01, 0.04, 0.03, 0.5]")).ShouldBe([0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5], 1e-12);
        (await Adjust("holm", "[]")).ShouldBeEmpty();
        (await service.Admin.PostText("/api/v1/analysis/adjust", """{"method": "holm", "p_values": [1.5]}"""))
            .MustBe(400, "request.invalid")
            .Fields.ShouldContain("p_values[0]");
        (await service.Admin.PostText("/api/v1/analysis/adjust", """{"method": "sidak", "p_values": []}"""))
            .MustBe(400, "request.invalid")
            .Fields.ShouldContain("method");
    }

    [Fact]
    public async Task Any_valid_key_will_do_and_none_will_not()
    {
        var given = await Given.AnEnvironment(service);
        var secret = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "analyst" })).Must(201)["key"].GetValue<string>();

        (await service.As($"Api-Key {secret}").PostText("/api/v1/analysis/adjust", """{"method": "holm", "p_values": []}""")).Must(200);
        (await service.AsUser("someone").PostText("/api/v1/analysis/adjust", """{"method": "holm", "p_values": []}""")).Must(200);
        (await service.As(null).PostText("/api/v1/analysis/adjust", """{"method": "holm", "p_values": []}""")).MustBe(
            401,
            "credential.missing"
        );
        (await given.Sdk.PostText("/api/v1/analysis/adjust", """{"method": "holm", "p_values": []}""")).MustBe(401, "credential.missing");
    }

    private async Task<double[]> Adjust(string method, string values) =>
        [
            .. (await service.Admin.PostText("/api/v1/analysis/adjust", $$"""{"method": "{{method}}", "p_values": {{values}}}"""))
                .Must(200)["adjusted"]
                .AsArray()
                .Select(p => p!.GetValue<double>()),
        ];

    private Task<Reply> Compare(string body) => service.Admin.PostText("/api/v1/analysis/compare", body);
}
