using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>Reads a metric with its sums from the document that the database makes of them.</summary>
internal static class MeasuredMetricReader
{
    /// <param name="metric">The document.</param>
    /// <param name="keys">The keys of the variants.</param>
    /// <param name="start">The index at which its numbers begin.</param>
    /// <param name="failed">Called with the link id of a metric that cannot be read.</param>
    public static MeasuredMetric Read(JsonNode metric, IReadOnlyList<string> keys, int start, Action<long, Exception> failed)
    {
        var (sums, exact) = (new SufficientStatistics[keys.Count], new ExactSums?[keys.Count]);
        // Held-out identities belong to no arm.
        var arms = metric["sums"]!.AsArray().Where(arm => arm!["arm"]!.GetValue<int>() >= 0).Select(arm => arm!).ToList();
        foreach (var arm in arms)
        {
            sums[arm["arm"]!.GetValue<int>()] = SumsOf(arm);
            exact[arm["arm"]!.GetValue<int>()] = new(arm);
        }

        var link = metric["link"]!.GetValue<long>();
        MetricDefinition? definition = null;
        try
        {
            definition = MetricRules.Read(metric["definition"]?.ToJsonString() ?? "null");
        }
        catch (JsonException exception)
        {
            failed(link, exception);
        }

        var aggregation = Words.Parse<MetricAggregation>(metric["aggregation"]!.GetValue<string>());
        return new(
            link,
            metric["metric"]!.GetValue<long>(),
            metric["name"]!.GetValue<string>(),
            Words.Parse<MetricRole>(metric["role"]!.GetValue<string>()),
            Words.Parse<ExpectedDirection>(metric["expected_direction"]!.GetValue<string>()),
            aggregation,
            definition ?? new(),
            metric["added_after_start"]!.GetValue<bool>(),
            sums,
            [.. metric["steps"]!.AsArray().Select(step => (step![0]!.GetValue<int>(), step[1]!.GetValue<int>(), step[2]!.GetValue<long>()))]
        )
        {
            Exact = exact,
            Layout = MetricLayout.Of(aggregation, definition ?? new(), start),
            Identities = definition?.Window is null ? null : Exposed(metric["mature"], keys),
            MaturedTo = metric["matured_to"]?.GetValue<DateTimeOffset>().UtcDateTime,
            Waiting = arms.Sum(arm => arm["waiting"]!.GetValue<long>()),
            CutShort = metric["complete"] is { } complete ? Exposed(metric["mature"], keys).Sum() - Exposed(complete, keys).Sum() : 0,
            NotNumbers = arms.Sum(arm => arm["not_numbers"]!.GetValue<long>()),
            MissingEvents = [.. metric["missing_events"]!.AsArray().Select(name => name!.GetValue<string>())],
            CorrectedAfterStart = metric["corrected_after_start"]!.GetValue<bool>(),
            IsBackfilling = !metric["backfilled"]!.GetValue<bool>(),
            Margin = metric["margin"]!.GetValue<double>(),
            // A metric whose sums overflow a number cannot be evaluated.
            Failed = definition is null || metric["is_unreadable"]!.GetValue<bool>() || !sums.All(arm => arm.AreFinite),
        };
    }

    // In whole hours by outcome, and in the rest of the last hour by the index of the variant.
    private static long[] Exposed(JsonNode? until, IReadOnlyList<string> keys) =>
        [
            .. keys.Select(
                (key, index) =>
                    (until?["hours"]?[ExposureState.InVariant + key]?.GetValue<long>() ?? 0)
                    + (until?["rest"]?[index.ToString(CultureInfo.InvariantCulture)]?.GetValue<long>() ?? 0)
            ),
        ];

    /// <summary>The sums of an arm, without the number of identities.</summary>
    public static SufficientStatistics SumsOf(JsonNode arm)
    {
        return new(
            N: 0,
            Sum: Value("y"),
            SumSquares: Value("yy"),
            DenominatorSum: Value("d"),
            DenominatorSumSquares: Value("dd"),
            CrossSum: Value("yd"),
            CovariateSum: Value("x"),
            CovariateSumSquares: Value("xx"),
            CovariateCrossSum: Value("yx"),
            NonZero: Value("y_non_zero"),
            DenominatorNonZero: Value("d_non_zero")
        )
        {
            Prior = new(Value("w"), Value("ww"), Value("xw"), Value("yw"), Value("dx"), Value("dw")),
        };

        double Value(string sum) => arm[sum]?.GetValue<double>() ?? 0;
    }
}
