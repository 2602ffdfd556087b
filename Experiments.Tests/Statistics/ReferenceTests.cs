using System.Text.Json.Nodes;
using Experiments.Api.Statistics;

namespace Experiments.Tests.Statistics;

/// <summary>
/// Every method against values computed with 50 digits (mpmath), in reference.json beside this file. The tolerance is 1e-10, and more
/// only where the inputs themselves, being doubles, determine the answer no better (the case's condition number).
/// </summary>
public class ReferenceTests
{
    private static readonly JsonObject Reference = JsonNode
        .Parse(Repository.Read("Experiments.Tests/Statistics/reference.json"))!
        .AsObject();

    [Fact]
    public void The_normal_distribution()
    {
        Each("normal_cdf", (input, check) => check("", Normal.Cdf(Number(input, "x"))));
        Each("normal_upper_tail", (input, check) => check("", Normal.UpperTail(Number(input, "x"))));
        Each("normal_quantile", (input, check) => check("", Normal.Quantile(Number(input, "p"))));
    }

    [Fact]
    public void Students_distribution()
    {
        Each(
            "student_t_upper_tail",
            (input, check) => check("", StudentT.UpperTail(Number(input, "t"), Number(input, "degrees_of_freedom")))
        );
        Each(
            "student_t_two_sided",
            (input, check) => check("", 2 * StudentT.UpperTail(Math.Abs(Number(input, "t")), Number(input, "degrees_of_freedom")))
        );
        Each(
            "student_t_quantile",
            (input, check) => check("", -StudentT.UpperQuantile(Number(input, "p"), Number(input, "degrees_of_freedom")))
        );
    }

    [Fact]
    public void Chi_square() =>
        Each(
            "chi_square_upper_tail",
            (input, check) => check("", GammaFunction.UpperRegularized(Number(input, "degrees_of_freedom") / 2, Number(input, "x") / 2))
        );

    [Fact]
    public void The_sample_ratio() =>
        Each(
            "srm",
            (input, check) =>
            {
                // Where there is nothing to test the reference has 1, and the service says that there is nothing.
                var p = SampleRatio.PValue(
                    [.. input["observed"]!.AsArray().Select(n => n!.GetValue<long>())],
                    [.. input["weights"]!.AsArray().Select(n => n!.GetValue<double>())]
                );
                check("p_value", p ?? 1);
            }
        );

    [Fact]
    public void Means() => Each("welch", (input, check) => Compare(input, check, arm => SampleMoments.OfMean(arm)));

    [Fact]
    public void Proportions() => Each("proportion", (input, check) => Compare(input, check, arm => SampleMoments.OfProportion(arm)));

    [Fact]
    public void Ratios() => Each("ratio", (input, check) => Compare(input, check, arm => SampleMoments.OfRatio(arm)));

    [Fact]
    public void Cuped_effects() =>
        Each(
            "cuped",
            (input, check) =>
            {
                var cuped = Cuped.Between(Arm(input["control"]!, covariate: true), Arm(input["treatment"]!, covariate: true));
                check("theta", cuped.Theta.X);
                check("effect", cuped.Effect.Value);
                check("standard_error", cuped.Effect.StandardError);
            }
        );

    [Fact]
    public void Fiellers_intervals() =>
        Each(
            "fieller",
            (input, check) =>
            {
                var control = new ControlMean(Number(input, "control"), Number(input, "control_variance"), Number(input, "covariance"));
                var (difference, variance, multiplier) = (
                    Number(input, "difference"),
                    Number(input, "variance"),
                    Number(input, "multiplier")
                );
                check("0", Fieller.Bounds(difference, variance, control, multiplier, Alternative.TwoSided)?.Low ?? double.NaN);
                check("1", Fieller.Bounds(difference, variance, control, multiplier, Alternative.TwoSided)?.High ?? double.NaN);
                check("0", Fieller.Bounds(difference, variance, control, multiplier, Alternative.Greater)?.Low ?? double.NaN);
                check("1", Fieller.Bounds(difference, variance, control, multiplier, Alternative.Less)?.High ?? double.NaN);
            }
        );

    [Fact]
    public void Confidence_sequences() =>
        Each(
            "sequential",
            (input, check) =>
            {
                var effect = new Effect(Number(input, "effect"), Number(input, "variance"), double.NaN, Number(input, "n"), new(1, 1, 0));
                var (alpha, tuning) = (Number(input, "alpha"), Number(input, "tuning"));
                check("p_value", ConfidenceSequence.PValue(effect, Alternative.TwoSided, alpha, tuning));
                check("ci.0", ConfidenceSequence.Interval(effect, Alternative.TwoSided, alpha, tuning).Low!.Value);
                check("ci.1", ConfidenceSequence.Interval(effect, Alternative.TwoSided, alpha, tuning).High!.Value);
                check("one_sided.greater.p_value", ConfidenceSequence.PValue(effect, Alternative.Greater, alpha, tuning));
                check("one_sided.greater.ci.0", ConfidenceSequence.Interval(effect, Alternative.Greater, alpha, tuning).Low!.Value);
                check("one_sided.less.p_value", ConfidenceSequence.PValue(effect, Alternative.Less, alpha, tuning));
                check("one_sided.less.ci.1", ConfidenceSequence.Interval(effect, Alternative.Less, alpha, tuning).High!.Value);
            }
        );

    [Fact]
    public void Normal_posteriors() =>
        Each(
            "bayesian_normal",
            (input, check) =>
            {
                var error = Number(input, "standard_error");
                var baseline = input["control_mean"] is { } mean ? Math.Abs(mean.GetValue<double>()) : 1;
                var posterior = NormalPosterior.Of(
                    new(Number(input, "effect"), error * error, 1, 1, new(baseline, 1, 0)),
                    input["prior_mean"] is null ? null : (Number(input, "prior_mean"), Number(input, "prior_variance"))
                )!;
                check("posterior_mean", posterior.Mean);
                check("posterior_standard_deviation", posterior.StandardDeviation);
                check("chance_to_win", posterior.ChanceToWin(higherIsBetter: true));
                check("chance_to_lose", posterior.ChanceToWin(higherIsBetter: false));
                check("ci.0.05.0", posterior.Interval(0.05).Low!.Value);
                check("expected_loss.keep_control", posterior.ExpectedLoss(higherIsBetter: true).Keeping);
                check("expected_loss.ship_treatment", posterior.ExpectedLoss(higherIsBetter: true).Shipping);
            }
        );

    [Fact]
    public void Beta_binomial_chances() =>
        Each(
            "beta_binomial",
            (input, check) =>
                Chances(
                    check,
                    PosteriorComparison.Compare(
                        new BetaPosterior(Number(input["control"]!, "n"), Number(input["control"]!, "successes")),
                        new BetaPosterior(Number(input["treatment"]!, "n"), Number(input["treatment"]!, "successes"))
                    )
                )
        );

    [Fact]
    public void Gamma_poisson_chances() =>
        Each(
            "gamma_poisson",
            (input, check) =>
                Chances(
                    check,
                    PosteriorComparison.Compare(
                        new GammaPosterior(Number(input["control"]!, "n"), Number(input["control"]!, "sum")),
                        new GammaPosterior(Number(input["treatment"]!, "n"), Number(input["treatment"]!, "sum"))
                    )
                )
        );

    [Fact]
    public void Adjusted_p_values()
    {
        Each("holm", (input, check) => Items(check, Adjustment.Holm([.. input["p_values"]!.AsArray().Select(p => p!.GetValue<double>())])));
        Each(
            "benjamini_hochberg",
            (input, check) =>
                Items(check, Adjustment.BenjaminiHochberg([.. input["p_values"]!.AsArray().Select(p => p!.GetValue<double>())]))
        );

        static void Items(Action<string, double> check, double[] adjusted)
        {
            foreach (var (place, p) in adjusted.Index())
            {
                check($"{place}", p);
            }
        }
    }

    [Fact]
    public void Power_and_its_inverses()
    {
        Each("power", (input, check) => check("power", Planned(input).At(Number(input, "n_per_arm"), Number(input, "lift"))));
        Each(
            "sample_size",
            (input, check) => check("n_per_arm", Planned(input).SampleSize(Number(input, "lift"), Number(input, "power"))!.Value)
        );
        Each(
            "mde",
            (input, check) =>
            {
                if (Planned(input).MinimumDetectableEffect(Number(input, "n_per_arm"), Number(input, "power")) is { } effect)
                {
                    check("mde", effect);
                }
                else
                {
                    check("mde", double.NaN);
                }
            }
        );

        static Power Planned(JsonNode input) =>
            new(Number(input, "mean"), Number(input, "variance"), Number(input, "alpha"), input["tuning"]?.GetValue<double>());
    }

    private static void Chances(Action<string, double> check, PosteriorComparison chance)
    {
        check("chance_to_win", chance.ChanceToWin);
        check("chance_to_lose", chance.ChanceToLose);
        check("expected_loss.keep_control", chance.LossOfKeeping);
        check("expected_loss.ship_treatment", chance.LossOfShipping);
    }

    private static void Compare(JsonNode input, Action<string, double> check, Func<SufficientStatistics, SampleMoments> unit)
    {
        var effect = Effect.Between(unit(Arm(input["control"]!)), unit(Arm(input["treatment"]!)));
        check("effect", effect.Value);
        check("standard_error", effect.StandardError);
        check("degrees_of_freedom", effect.DegreesOfFreedom);
        foreach (
            var (name, alternative) in new[]
            {
                ("two_sided", Alternative.TwoSided),
                ("greater", Alternative.Greater),
                ("less", Alternative.Less),
            }
        )
        {
            check($"p_value.{name}", FixedHorizon.PValue(effect, alternative));
            foreach (var alpha in new[] { 0.05, 0.01 })
            {
                var interval = FixedHorizon.Interval(effect, alternative, alpha);
                var path = $"ci.{alpha.ToString(System.Globalization.CultureInfo.InvariantCulture)}.{name}";
                check($"{path}.0", interval.Low ?? double.NaN);
                check($"{path}.1", interval.High ?? double.NaN);
            }
        }
    }

    private static SufficientStatistics Arm(JsonNode arm, bool covariate = false) =>
        new(
            Number(arm, "n"),
            Number(arm, "sum"),
            Or(arm, "sum_squares"),
            Or(arm, "denominator_sum"),
            Or(arm, "denominator_sum_squares"),
            covariate ? 0 : Or(arm, "cross_sum"),
            Or(arm, "covariate_sum"),
            Or(arm, "covariate_sum_squares"),
            covariate ? Or(arm, "cross_sum") : 0
        );

    private static double Or(JsonNode node, string name) => node[name]?.GetValue<double>() ?? 0;

    private static double Number(JsonNode node, string name) => node[name]!.GetValue<double>();

    // Runs all cases of a method and tells all that differ.
    private static void Each(string method, Action<JsonNode, Action<string, double>> run)
    {
        var wrong = new List<string>();
        var cases = Reference[method]!.AsArray();
        foreach (var (number, one) in cases.Index())
        {
            run(
                one!["input"]!,
                (path, actual) =>
                {
                    var expected = At(one["expected"], path)?.GetValue<double>() ?? double.NaN;
                    var condition = At(one["condition"], path) is JsonValue value ? value.GetValue<double>() : 0;
                    var tolerance = Math.Max(1e-10, 20 * condition * 2.2e-16);
                    var fits = double.IsNaN(expected)
                        ? double.IsNaN(actual)
                        : Math.Abs(actual - expected) <= (tolerance * Math.Abs(expected)) + (expected == 0 ? 1e-12 : 1e-307);
                    if (!fits)
                    {
                        wrong.Add(
                            $"{method}[{number}].{path}: {actual:R} instead of {expected:R} (condition {condition:G3}) for"
                                + $" {one["input"]!.ToJsonString()}"
                        );
                    }
                }
            );
        }

        cases.Count.ShouldBeGreaterThan(10);
        wrong.ShouldBeEmpty();
    }

    private static JsonNode? At(JsonNode? node, string path)
    {
        // The only names with a dot in them are those of two levels.
        foreach (
            var step in path.Length == 0
                ? []
                : path.Replace("0.05", "0_05", StringComparison.Ordinal).Replace("0.01", "0_01", StringComparison.Ordinal).Split('.')
        )
        {
            node = node switch
            {
                JsonArray array => array[int.Parse(step, System.Globalization.CultureInfo.InvariantCulture)],
                JsonObject members => members[step.Replace('_', step.StartsWith("0_", StringComparison.Ordinal) ? '.' : '_')],
                _ => node,
            };
        }

        return node;
    }
}
