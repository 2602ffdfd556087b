using System.Text.Json;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;

namespace Experiments.Api.Slices.Calculators;

/// <summary>What is to be compared, and how. What a kind does not need is absent.</summary>
internal sealed record ComparisonBody(
    [property: Must(Required = true), Words("mean", "proportion", "ratio")] string? Kind = null,
    [property: Words("relative", "absolute"), Must(Default = "relative")] string? Effect = null,
    double? Alpha = null,
    [property: Words("two_sided", "greater", "less"), Must(Default = "two_sided")] string? Alternative = null,
    [property: Words("up", "down"), Must(Default = "up")] string? Direction = null,
    PriorBody? Prior = null,
    SequentialBody? Sequential = null,
    bool? Cuped = null,
    [property: Must(Required = true)] ArmStatisticsBody? Control = null,
    [property: Must(Required = true)] IReadOnlyList<ArmStatisticsBody?>? Treatments = null,
    JsonElement? Weights = null
)
{
    public ComparisonSettings Settings() =>
        new(
            Kind switch
            {
                "proportion" => MetricKind.Proportion,
                "ratio" => MetricKind.Ratio,
                _ => MetricKind.Mean,
            },
            Effect is not "absolute",
            Alpha ?? 0.05,
            Alternative switch
            {
                "greater" => Statistics.Alternative.Greater,
                "less" => Statistics.Alternative.Less,
                _ => Statistics.Alternative.TwoSided,
            },
            Direction is not "down",
            Prior is { Proper: true } prior ? (prior.Mean ?? 0, prior.Variance ?? 1) : null,
            Sequential?.Tuning ?? ConfidenceSequence.DefaultTuning,
            Cuped is true
        );

    /// <summary>The weights of control and of the treatments, whether they came by key or in order.</summary>
    public IReadOnlyList<double> WeightsInOrder() =>
        Weights!.Value.ValueKind == JsonValueKind.Array
            ? [.. Weights.Value.EnumerateArray().Select(weight => weight.GetDouble())]
            :
            [
                .. Treatments!
                    .Prepend(Control)
                    .Select(arm => arm!.Key is { } key && Weights.Value.TryGetProperty(key, out var weight) ? weight.GetDouble() : 0),
            ];

    public void Check(Action<string, string> wrong)
    {
        OneOf("kind", Kind, required: true, "mean", "proportion", "ratio");
        OneOf("effect", Effect, required: false, "relative", "absolute");
        OneOf("alternative", Alternative, required: false, "two_sided", "greater", "less");
        OneOf("direction", Direction, required: false, "up", "down");
        Demand(Alpha is null or (> 0 and < 1), "alpha", "This must lie between 0 and 1.");
        Demand(Alternative is null or "two_sided" || Alpha is null or < 0.5, "alpha", "A one-sided comparison needs this below 0.5.");
        Demand(Prior?.Variance is null or > 0, "prior.variance", "This must be above 0.");
        Demand(Sequential?.Tuning is null or (>= 1 and <= 1e9), "sequential.tuning", "This must be from 1 to 1e9.");
        Demand(Cuped is not true || Kind != "ratio", "cuped", "A ratio cannot be adjusted by a covariate here; leave this out.");
        if (Control is null)
        {
            wrong("control", "This is required: the sums of the arm that the others are compared with.");
        }
        else
        {
            Control.Check("control", this, wrong);
        }

        if (Treatments is not { Count: >= 1 and <= 100 })
        {
            wrong("treatments", "This is required: the sums of 1 to 100 arms.");
            return;
        }

        foreach (var (index, arm) in Treatments.Index())
        {
            if (arm is null)
            {
                wrong($"treatments[{index}]", "This may not be null.");
            }
            else
            {
                arm.Check($"treatments[{index}]", this, wrong);
            }
        }

        Demand(
            Weights is null || AreWeights(Weights.Value),
            "weights",
            "These must be 0 or numbers from 1e-9 to 1e9: a list for control and the treatments in order, or an object by their keys."
        );

        void Demand(bool holds, string field, string message)
        {
            if (!holds)
            {
                wrong(field, message);
            }
        }

        void OneOf(string field, string? word, bool required, params string[] words) =>
            Demand(
                word is null ? !required : words.Contains(word),
                field,
                $"This {(required ? "is required and " : "")}must be one of: {string.Join(", ", words)}."
            );
    }

    private bool AreWeights(JsonElement weights)
    {
        var values = weights.ValueKind switch
        {
            JsonValueKind.Array when weights.GetArrayLength() == (Treatments?.Count ?? 0) + 1 => weights.EnumerateArray().ToList(),
            JsonValueKind.Object => [.. weights.EnumerateObject().Select(member => member.Value)],
            _ => [],
        };
        return values.Count > 0
            && values.All(value => value.ValueKind == JsonValueKind.Number && value.GetDouble() is 0 or (>= 1e-9 and <= 1e9));
    }
}

/// <summary>What was believed of the relative effect before the data; flat unless proper.</summary>
internal sealed record PriorBody(double? Mean = null, double? Variance = null, bool? Proper = null);

/// <summary>The settings of the sequential test.</summary>
internal sealed record SequentialBody(double? Tuning = null);

/// <summary>The sums of an arm over its identities: of the metric, of the denominator of a ratio, and of the covariate.</summary>
internal sealed record ArmStatisticsBody(
    string? Key = null,
    [property: Must(Required = true, Minimum = 0)] long? N = null,
    [property: Must(Required = true)] double? Sum = null,
    double? SumSquares = null,
    double? DenominatorSum = null,
    double? DenominatorSumSquares = null,
    double? CrossSum = null,
    double? CovariateSum = null,
    double? CovariateSumSquares = null,
    double? CovariateCrossSum = null
)
{
    public SufficientStatistics Sums(ComparisonSettings settings) =>
        new(
            N!.Value,
            Sum!.Value,
            SumSquares ?? (settings.Kind == MetricKind.Proportion ? Sum.Value : 0),
            DenominatorSum ?? 0,
            DenominatorSumSquares ?? 0,
            CrossSum ?? 0,
            CovariateSum ?? 0,
            CovariateSumSquares ?? 0,
            CovariateCrossSum ?? 0
        );

    public void Check(string path, ComparisonBody body, Action<string, string> wrong)
    {
        if (N is not >= 0)
        {
            wrong($"{path}.n", "This is required: how many identities.");
        }

        foreach (var (name, value) in Needed(body).Where(sum => sum.Value is null))
        {
            wrong($"{path}.{name}", $"A {(body.Cuped is true ? "comparison with a covariate" : body.Kind)} needs this.");
        }

        if (N is > 0 and var n && Sum is { } sum)
        {
            if (body.Kind == "proportion" && (sum < 0 || sum > n))
            {
                wrong($"{path}.sum", "A proportion counts identities: this must be from 0 to n.");
            }

            Possible("sum_squares", n, sum, SumSquares);
            Possible("denominator_sum_squares", n, DenominatorSum ?? 0, DenominatorSumSquares);
            Possible("covariate_sum_squares", n, CovariateSum ?? 0, CovariateSumSquares);
            PossibleCross("cross_sum", n, CrossSum, DenominatorSum, DenominatorSumSquares);
            PossibleCross("covariate_cross_sum", n, CovariateCrossSum, CovariateSum, CovariateSumSquares);
        }

        void PossibleCross(string name, double n, double? cross, double? other, double? otherSquares)
        {
            var squares = SumSquares ?? (body.Kind == "proportion" ? Sum : null);
            if (
                cross is { } given
                && squares is { } own
                && other is { } otherSum
                && otherSquares is { } others
                && !SampleMoments.IsPossible(n, (Sum!.Value, own), (otherSum, others), given)
            )
            {
                wrong($"{path}.{name}", "No pairs of numbers have these sums, sums of squares and this sum of products.");
            }
        }

        void Possible(string name, double n, double sum, double? squares)
        {
            if (squares is { } given && !SampleMoments.IsPossible(n, sum, given))
            {
                wrong($"{path}.{name}", "No numbers have this sum and this sum of squares.");
            }
        }
    }

    private IEnumerable<(string Name, double? Value)> Needed(ComparisonBody body)
    {
        yield return ("sum", Sum);
        if (body.Kind is "mean" or "ratio")
        {
            yield return ("sum_squares", SumSquares);
        }

        if (body.Kind == "ratio")
        {
            yield return ("denominator_sum", DenominatorSum);
            yield return ("denominator_sum_squares", DenominatorSumSquares);
            yield return ("cross_sum", CrossSum);
        }

        if (body.Cuped is true)
        {
            yield return ("covariate_sum", CovariateSum);
            yield return ("covariate_sum_squares", CovariateSumSquares);
            yield return ("covariate_cross_sum", CovariateCrossSum);
        }
    }
}
