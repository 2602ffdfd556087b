using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Tests.Results;

/// <summary>Verdicts and recommendations from sums, on tables that have once been judged wrongly.</summary>
public class VerdictTests
{
    [Theory]
    [InlineData(20, 5, 1000)]
    [InlineData(10, 100, 1000)]
    [InlineData(5, 100, 500)]
    [InlineData(0, 250, 500)]
    [InlineData(250, 500, 500)]
    [InlineData(600, 500, 1000)]
    public void Exchanging_the_arms_exchanges_the_sign_and_nothing_else(double control, double treatment, long n)
    {
        var one = Judge([n, n], Conversions("primary", "increase", control, treatment));
        var other = Judge([n, n], Conversions("primary", "increase", treatment, control));

        one.Sequential!.PValue.ShouldBe(other.Sequential!.PValue, 1e-9 * one.Sequential.PValue);
        (one.Difference + other.Difference)!.Value.ShouldBe(0, 1e-15);
        var opposite = new Dictionary<Verdict, Verdict> { [Verdict.Winning] = Verdict.Losing, [Verdict.Losing] = Verdict.Winning };
        other.Verdict.ShouldBe(opposite.GetValueOrDefault(one.Verdict, one.Verdict));
    }

    [Theory]
    [InlineData(0, 250, 500, "winning")]
    [InlineData(250, 0, 500, "losing")]
    [InlineData(250, 500, 500, "winning")]
    [InlineData(500, 250, 500, "losing")]
    [InlineData(10, 100, 1000, "winning")]
    [InlineData(0, 0, 500, "collecting_data")]
    [InlineData(500, 500, 500, "collecting_data")]
    [InlineData(24, 26, 500, "collecting_data")]
    [InlineData(25, 26, 500, "inconclusive")]
    public void Clear_conversions_are_decided_however_extreme_the_rates(double control, double treatment, long n, string verdict) =>
        Words.Of(Judge([n, n], Conversions("primary", "increase", control, treatment)).Verdict).ShouldBe(verdict);

    [Theory]
    [InlineData(3, "increase", "losing")]
    [InlineData(4, "increase", "losing")]
    [InlineData(5, "increase", "losing")]
    [InlineData(24, "increase", "losing")]
    [InlineData(25, "increase", "losing")]
    public void There_is_no_cliff_where_one_test_takes_over_from_another(double treatment, string direction, string verdict) =>
        Words.Of(Judge([500, 500], Conversions("primary", direction, 100, treatment)).Verdict).ShouldBe(verdict);

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Errors_that_rise_twentyfold_are_never_shipped(double inControl)
    {
        var results = Make(
            [500, 500],
            Conversions("primary", "increase", 100, 220),
            Conversions("guardrail", "not_increase", inControl, 100, 2)
        );

        Words.Of(results.Recommendation.Action).ShouldBe("keep_control");
        results.Recommendation.Reasons.Select(reason => Words.Of(reason.Code)).ShouldBe(["guardrail_harmed"]);
        results.Recommendation.DecidedBy.ShouldHaveSingleItem().Metric.ShouldBe(2);
    }

    [Theory]
    [InlineData(40, 30, 3, 0)]
    [InlineData(180, 0, 28, 0)]
    public void A_handful_of_buyers_decides_nothing(double one, double two, double three, double four)
    {
        var arm = Judge([50, 50], Sum("primary", "increase", [one, two], [three, four]));

        Words.Of(arm.Verdict).ShouldBe("collecting_data");
        arm.Missing.ShouldNotBeNull();
        (arm.Missing.Needed, Words.Of(arm.Missing.Reason)).ShouldBe((50L, "not_enough_values"));
        arm.Missing.Have.ShouldBe(new[] { three, four }.Count(value => value != 0));
    }

    [Fact]
    public void What_is_missing_is_told_with_what_there_is()
    {
        Missing([30, 40], Conversions("primary", "increase", 3, 4)).ShouldBe(("not_enough_identities", 50, 30));
        Missing([500, 400], Conversions("primary", "increase", 30, 7)).ShouldBe(("not_enough_conversions", 25, 7));
        Missing([500, 400], Conversions("primary", "increase", 490, 380)).ShouldBe(("not_enough_non_conversions", 25, 10));

        static (string, long, long) Missing(long[] identities, MeasuredMetric metric)
        {
            var missing = Judge(identities, metric).Missing!;
            return (Words.Of(missing.Reason), missing.Needed, missing.Have);
        }
    }

    [Fact]
    public void Attaching_metrics_without_an_event_takes_no_win_away()
    {
        var primary = Conversions("primary", "increase", 400, 500);
        var alone = Judge([2000, 2000], primary);
        var among = Judge([2000, 2000], [primary, .. Enumerable.Range(2, 6).Select(id => Conversions("secondary", "increase", 0, 0, id))]);

        Words.Of(alone.Verdict).ShouldBe("winning");
        (among.Verdict, among.AdjustedSequentialPValue).ShouldBe((alone.Verdict, alone.AdjustedSequentialPValue));
    }

    [Fact]
    public void A_secondary_metric_that_falls_is_named_beside_what_is_shipped()
    {
        var results = Make([2000, 2000], Conversions("primary", "increase", 400, 520), Conversions("secondary", "increase", 1500, 900, 2));

        Words.Of(results.Recommendation.Action).ShouldBe("ship");
        var note = results.Recommendation.Reasons[^1];
        (Words.Of(note.Code), note.Metric, note.Variant).ShouldBe(("secondary_worse", 2L, "green"));
        note.Text.ShouldContain("−40 %");
    }

    [Fact]
    public void A_secondary_metric_that_must_not_fall_counts_like_a_guardrail()
    {
        var results = Make(
            [2000, 2000],
            Conversions("primary", "increase", 400, 520),
            Conversions("secondary", "not_decrease", 1500, 900, 2)
        );

        Words.Of(results.Recommendation.Action).ShouldBe("keep_control");
    }

    [Theory]
    [InlineData(2250, "ship", "guardrail_safe")]
    [InlineData(1100, "ship", "guardrail_safe")]
    [InlineData(700, "keep_control", "guardrail_harmed")]
    [InlineData(910, "keep_running", "guardrail_unclear")]
    public void A_primary_metric_that_must_not_fall_ships_when_it_is_safely_not_worse(double treatment, string action, string reason)
    {
        var results = Make([10_000, 10_000], Conversions("primary", "not_decrease", 1000, treatment));

        Words.Of(results.Metrics[0].Treatments[0].Reason).ShouldBe(reason);
        Words.Of(results.Recommendation.Action).ShouldBe(action);
    }

    [Theory]
    [InlineData(0.3, "guardrail_within_margin")]
    [InlineData(0.12, "guardrail_worse")]
    [InlineData(0.02, "guardrail_harmed")]
    public void A_guardrail_is_judged_against_its_own_margin(double margin, string reason)
    {
        var guardrail = Conversions("guardrail", "not_decrease", 10_000, 8_800, 2) with { Margin = margin };

        var results = Make([50_000, 50_000], Conversions("primary", "increase", 10_000, 12_000), guardrail);

        Words.Of(results.Metrics[1].Treatments[0].Reason).ShouldBe(reason);
        results.Metrics[1].Margin.ShouldBe(margin);
        Words
            .Of(results.Recommendation.Action)
            .ShouldBe(
                reason switch
                {
                    "guardrail_within_margin" => "ship",
                    "guardrail_harmed" => "keep_control",
                    _ => "keep_running",
                }
            );
    }

    [Theory]
    [InlineData("not_increase", 3000, 2600, "guardrail_safe")]
    [InlineData("not_increase", 3000, 4000, "guardrail_harmed")]
    [InlineData("not_decrease", 3000, 4000, "guardrail_safe")]
    [InlineData("not_decrease", 3000, 2000, "guardrail_harmed")]
    public void Guardrails_on_means_are_judged_in_the_direction_that_is_worse(
        string direction,
        double control,
        double treatment,
        string reason
    )
    {
        static double[] Spread(double mean) => [.. Enumerable.Range(0, 2000).Select(i => mean / 1000 * (0.5 + (i % 100 / 99.0)))];

        Words.Of(Judge([2000, 2000], Sum("guardrail", direction, Spread(control), Spread(treatment))).Reason).ShouldBe(reason);
    }

    [Fact]
    public void Nothing_is_recommended_while_more_than_a_hundredth_of_the_events_waits()
    {
        var input = Input([10_000, 10_000], Conversions("primary", "increase", 2000, 2600)) with { EventsCounted = 980 };

        Action(input with { EventsNotCounted = 20 }).ShouldBe("keep_running events_not_counted");
        Action(input with { EventsNotCounted = 9 }).ShouldBe("ship significantly_better");

        static string Action(ResultsInput input)
        {
            var recommendation = ResultsCalculator.Make(input).Results.Recommendation;
            return $"{Words.Of(recommendation.Action)} {Words.Of(recommendation.Reasons[0].Code)}";
        }
    }

    [Fact]
    public void Evidence_does_not_go_backwards_and_reading_adds_none()
    {
        var before = Input([10_000, 10_000], Conversions("primary", "increase", 2000, 2250));
        var after = Input([12_000, 12_000], Conversions("primary", "increase", 2480, 2600));
        var (first, evidence) = ResultsCalculator.Make(before);
        Words.Of(first.Metrics[0].Treatments[0].Verdict).ShouldBe("winning");
        Words.Of(ResultsCalculator.Make(after).Results.Metrics[0].Treatments[0].Verdict).ShouldBe("inconclusive");

        var (results, next) = ResultsCalculator.Make(after with { Evidence = evidence });

        Words.Of(results.Metrics[0].Treatments[0].Verdict).ShouldBe("winning");
        results.Metrics[0].Treatments[0].Sequential!.PValue.ShouldBe(first.Metrics[0].Treatments[0].Sequential!.PValue);
        results.EvidenceSince.ShouldBe(before.AsOf);
        (next!.Looks, next.Since).ShouldBe((2, before.AsOf));
        ResultsCalculator.Make(after with { Evidence = next }).Results.Metrics.ShouldBeEquivalentTo(results.Metrics);
    }

    [Fact]
    public void A_win_does_not_outlive_a_difference_that_now_points_the_other_way()
    {
        var (_, evidence) = ResultsCalculator.Make(Input([1000, 1000], Conversions("primary", "increase", 100, 160)));

        var (results, _) = ResultsCalculator.Make(
            Input([5000, 5000], Conversions("primary", "increase", 500, 495)) with
            {
                Evidence = evidence,
            }
        );

        Words.Of(results.Metrics[0].Treatments[0].Reason).ShouldBe("effect_changed");
        Words.Of(results.Recommendation.Action).ShouldBe("keep_running");
    }

    [Fact]
    public void An_effect_that_fades_keeps_its_verdict_and_is_warned_of()
    {
        var (_, evidence) = ResultsCalculator.Make(Input([5000, 5000], Conversions("primary", "increase", 500, 700)));

        var (results, _) = ResultsCalculator.Make(
            Input([100_000, 100_000], Conversions("primary", "increase", 10_000, 10_700)) with
            {
                Evidence = evidence,
            }
        );

        Words.Of(results.Metrics[0].Treatments[0].Verdict).ShouldBe("winning");
        results.Warnings.ShouldHaveSingleItem().ShouldBe(new ResultsWarning("effect_changed", null) { Metric = 1, Variant = "green" });
        var interval = results.Metrics[0].Treatments[0].Sequential!.Ci;
        interval[0]!.Value.ShouldBeLessThan(interval[1]!.Value);
    }

    [Fact]
    public void A_guardrail_that_was_safe_can_still_be_harmed()
    {
        var (_, evidence) = ResultsCalculator.Make(Input([20_000, 20_000], Conversions("guardrail", "not_decrease", 2000, 2000)));

        var (results, _) = ResultsCalculator.Make(
            Input([60_000, 60_000], Conversions("guardrail", "not_decrease", 6000, 4500)) with
            {
                Evidence = evidence,
            }
        );

        Words.Of(results.Metrics[0].Treatments[0].Reason).ShouldBe("guardrail_harmed");
    }

    [Fact]
    public void A_look_at_a_broken_split_adds_no_evidence_and_a_metric_that_fails_once_keeps_its_own()
    {
        var (_, evidence) = ResultsCalculator.Make(Input([1000, 1000], Conversions("primary", "increase", 100, 160)));
        var broken = Input([300, 600], Conversions("primary", "increase", 90, 180)) with { Variants = [("control", 50), ("green", 50)] };
        var failing = Input([1000, 1000], Conversions("primary", "increase", 100, 160) with { Failed = true });

        ResultsCalculator.Make(broken).Evidence.ShouldBeNull();
        ResultsCalculator.Make(broken with { Evidence = evidence }).Evidence.ShouldBe(evidence);
        ResultsCalculator.Make(failing with { Evidence = evidence }).Evidence!.Metrics[1].ShouldBe(evidence!.Metrics[1]);
    }

    [Theory]
    [InlineData(495, 400, 500)]
    [InlineData(998, 900, 1000)]
    [InlineData(9980, 8000, 10_000)]
    public void Successes_that_turn_into_failures_are_seen_as_failures_are(double control, double treatment, long n)
    {
        var guardrail = Conversions("guardrail", "not_decrease", control, treatment, 2) with { Margin = 0.02 };

        var results = Make([n, n], Conversions("primary", "increase", n / 5, n / 2), guardrail);

        Words.Of(results.Metrics[1].Treatments[0].Reason).ShouldBe("guardrail_harmed");
        Words.Of(results.Recommendation.Action).ShouldBe("keep_control");
    }

    [Fact]
    public void A_guardrail_that_is_worse_within_its_margin_is_named_beside_what_is_shipped()
    {
        var results = Make(
            [200_000, 200_000],
            Conversions("primary", "increase", 20_000, 24_000),
            Conversions("guardrail", "not_decrease", 20_000, 18_800, 2)
        );

        results
            .Recommendation.Reasons.Select(reason => Words.Of(reason.Code))
            .ShouldBe(["significantly_better", "guardrail_within_margin"]);
    }

    [Fact]
    public void A_loss_of_values_is_not_forgotten_once_there_are_enough_of_them()
    {
        double[] Buyers(int count, double last) => [.. Enumerable.Range(0, count).Select(i => i == count - 1 ? last : 40 + (i % 7))];
        var (_, evidence) = ResultsCalculator.Make(Input([5000, 5000], Sum("primary", "increase", Buyers(400, 40), Buyers(49, 40))));

        var (results, _) = ResultsCalculator.Make(
            Input([5000, 5000], Sum("primary", "increase", Buyers(400, 40), Buyers(50, 20_000))) with
            {
                Evidence = evidence,
            }
        );

        Words.Of(results.Metrics[0].Treatments[0].Verdict).ShouldBe("losing");
    }

    [Fact]
    public void Fewer_negative_values_are_no_harm()
    {
        double[] Refunds(int count) => [.. Enumerable.Range(0, count).Select(i => -10.0 - (i % 3))];

        Words.Of(Judge([1000, 1000], Sum("primary", "increase", Refunds(48), Refunds(5))).Verdict).ShouldBe("collecting_data");
    }

    [Fact]
    public void Harm_is_told_though_the_primary_is_undecided()
    {
        var results = Make(
            [10_000, 10_000],
            Conversions("primary", "increase", 2000, 2010),
            Conversions("guardrail", "not_increase", 500, 1500, 2)
        );

        Words.Of(results.Recommendation.Action).ShouldBe("keep_control");
        results.Recommendation.Reasons.Select(reason => Words.Of(reason.Code)).ShouldBe(["guardrail_harmed"]);
    }

    [Fact]
    public void A_ratio_of_an_arm_that_does_not_vary_is_judged_all_the_same()
    {
        // All calls of control succeed; of the treatment's every third one fails.
        var metric = Conversions("guardrail", "not_decrease", 0, 0) with
        {
            Aggregation = MetricAggregation.Ratio,
            Sums =
            [
                .. new[] { 0, 1 }.Select(arm =>
                    Enumerable
                        .Range(0, 600)
                        .Aggregate(
                            default(SufficientStatistics),
                            (sum, i) =>
                            {
                                double d = 1 + (i % 7);
                                var y = arm == 0 || i % 3 > 0 ? d : 0;
                                return sum
                                    + new SufficientStatistics(0, y, y * y, d, d * d, y * d, NonZero: y > 0 ? 1 : 0, DenominatorNonZero: 1);
                            }
                        )
                ),
            ],
        };

        Words.Of(Judge([600, 600], metric).Reason).ShouldBe("guardrail_harmed");
    }

    [Fact]
    public void An_effect_that_turns_round_is_a_contradiction_and_no_verdict()
    {
        var (_, up) = ResultsCalculator.Make(Input([10_000, 10_000], Conversions("primary", "increase", 2000, 2400)));
        var (results, _) = ResultsCalculator.Make(
            Input([40_000, 40_000], Conversions("primary", "increase", 8000, 6800)) with
            {
                Evidence = up,
            }
        );

        Words.Of(results.Metrics[0].Treatments[0].Reason).ShouldBe("contradictory_evidence");
        Words.Of(results.Recommendation.Action).ShouldBe("keep_running");
    }

    [Fact]
    public void The_interval_of_a_proportion_excludes_zero_exactly_when_the_difference_is_significant()
    {
        var random = new Random(12);
        var metric = Conversions("primary", "increase", 0, 0);
        for (var round = 0; round < 1000; round++)
        {
            var n = random.Next(20, 3000);
            var (control, treatment) = (random.Next(n / 3), random.Next(n / 3));
            var tests = ComparedMetricArm
                .Of(
                    metric,
                    new(n, control, control, NonZero: control),
                    new(n, treatment, treatment, NonZero: treatment),
                    0.5,
                    ArmEvidence.None
                )
                .Tests;
            (tests.Low > 0 || tests.High < 0).ShouldBe(tests.PValue < 0.05, $"{control}, {treatment} of {n}: {tests}");
        }
    }

    [Fact]
    public void The_chances_to_be_best_sum_to_one_and_are_those_of_winning_where_there_are_two_arms()
    {
        foreach (var direction in new[] { "increase", "decrease" })
        {
            var metric = Make([400, 500], Conversions("primary", direction, 40, 62)).Metrics[0];
            metric.Arms.Sum(arm => arm.ChanceToBeBest!.Value).ShouldBe(1, 1e-12);
            metric.Arms[1].ChanceToBeBest!.Value.ShouldBe(metric.Treatments[0].Exact!.ChanceToWin, 1e-9);
        }

        // Three equal arms have equal chances. Those of three unequal ones come from a trapezoidal sum of 40 000 steps.
        IPosterior Arm(double mean) => new MeanPosterior(mean, 1);
        ChanceToBeBest.Of([Arm(0), Arm(0), Arm(0)], true).ShouldAllBe(chance => Math.Abs(chance - (1.0 / 3)) < 1e-9);
        double[] expected = [0.007139139977, 0.237233876929, 0.755626983094];
        foreach (var (chance, other) in ChanceToBeBest.Of([Arm(0), Arm(2), Arm(3)], true).Zip(expected))
        {
            chance.ShouldBe(other, 1e-8);
        }
    }

    [Fact]
    public void Arms_that_differed_before_the_exposure_are_warned_of()
    {
        var metric = Sum("primary", "increase", [.. Enumerable.Repeat(1.0, 300), 0], [.. Enumerable.Repeat(1.0, 290), 0]) with
        {
            Definition = new(Event: "e", LookbackDays: 7),
        };
        MeasuredMetric With(double before) =>
            metric with
            {
                Sums =
                [
                    metric.Sums[0] with
                    {
                        CovariateSum = 200,
                        CovariateSumSquares = 200,
                        CovariateCrossSum = 190,
                    },
                    metric.Sums[1] with
                    {
                        CovariateSum = before,
                        CovariateSumSquares = before,
                        CovariateCrossSum = before - 5,
                    },
                ],
            };

        Make([1000, 1000], With(210)).Warnings.ShouldBeEmpty();
        Make([1000, 1000], With(400)).Warnings.Select(warning => warning.Code).ShouldContain("pre_period_difference");
    }

    [Fact]
    public void Nothing_but_finite_numbers_or_null_leaves_the_statistics()
    {
        var random = new Random(2026);
        double[] values = [0, 0, 1, 1, 2, 3, 5, 50, 1e-9, 1e9, 1e15, -1, -7.5];
        string[] aggregations = ["occurrence", "count", "sum", "mean", "ratio", "retention", "funnel"];
        string[] directions = ["increase", "decrease", "not_increase", "not_decrease"];
        for (var round = 0; round < 300; round++)
        {
            var metric = Conversions("primary", directions[random.Next(4)], 0, 0) with
            {
                Aggregation = Words.Parse<MetricAggregation>(aggregations[random.Next(aggregations.Length)]),
                Role = (MetricRole)random.Next(3),
                Margin = random.Next(3) switch
                {
                    0 => 0,
                    1 => 1,
                    _ => random.NextDouble(),
                },
                Definition = new(Event: "e", LookbackDays: random.Next(2) == 0 ? 7 : null, Steps: [new("a"), new("b")]),
            };
            var isBinary = metric.Kind == MetricKind.Proportion;
            long[] identities = [random.Next(4) * random.Next(100), random.Next(4) * random.Next(100)];
            var sums = identities
                .Select(n =>
                    Enumerable
                        .Range(0, (int)n)
                        .Aggregate(
                            default(SufficientStatistics),
                            (sum, _) =>
                            {
                                var (y, d) = (isBinary ? random.Next(2) : Value(), Value());
                                var x = random.Next(2) == 0 ? y : Value();
                                return sum
                                    + new SufficientStatistics(
                                        0,
                                        y,
                                        y * y,
                                        d,
                                        d * d,
                                        y * d,
                                        x,
                                        x * x,
                                        y * x,
                                        y != 0 ? 1 : 0,
                                        d != 0 ? 1 : 0
                                    );
                            }
                        )
                )
                .ToList();

            var (results, evidence) = ResultsCalculator.Make(Input(identities, metric with { Sums = sums }));

            // The writer refuses what is no number.
            Should.NotThrow(() => System.Text.Json.JsonSerializer.Serialize(results), $"round {round}");
            Should.NotThrow(() => System.Text.Json.JsonSerializer.Serialize(evidence), $"round {round}");
        }

        double Value() => values[random.Next(values.Length)];
    }

    private static TreatmentResult Judge(long[] identities, params MeasuredMetric[] metrics) =>
        Make(identities, metrics).Metrics[0].Treatments[0];

    private static ResultsView Make(long[] identities, params MeasuredMetric[] metrics) =>
        ResultsCalculator.Make(Input(identities, metrics)).Results;

    private static ResultsInput Input(long[] identities, params MeasuredMetric[] metrics) =>
        new(
            // As they came, so that the split is as planned.
            [("control", identities[0] + 1m), ("green", identities[1] + 1m)],
            new Dictionary<string, long>
            {
                [ExposureState.InVariant + "control"] = identities[0],
                [ExposureState.InVariant + "green"] = identities[1],
            },
            metrics,
            Noon.AddDays(-3),
            null,
            Noon,
            0
        );

    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    private static MeasuredMetric Conversions(string role, string direction, double control, double treatment, long id = 1) =>
        Metric(
            role,
            direction,
            MetricAggregation.Occurrence,
            id,
            [.. new[] { control, treatment }.Select(count => SumsOfArm.Of(count, count, 0, 0, 0, 0, 0, 0, count, 0))]
        );

    private static MeasuredMetric Sum(string role, string direction, double[] control, double[] treatment) =>
        Metric(
            role,
            direction,
            MetricAggregation.Sum,
            1,
            [
                .. new[] { control, treatment }.Select(arm =>
                    SumsOfArm.Of(arm.Sum(), arm.Sum(y => y * y), 0, 0, 0, 0, 0, 0, arm.Count(y => y != 0), 0)
                ),
            ]
        );

    private static MeasuredMetric Metric(
        string role,
        string direction,
        MetricAggregation aggregation,
        long id,
        SufficientStatistics[] sums
    ) =>
        new(
            id,
            id,
            "m",
            Words.Parse<MetricRole>(role),
            Words.Parse<ExpectedDirection>(direction),
            aggregation,
            new MetricDefinition(Event: "e"),
            false,
            sums,
            []
        );
}
