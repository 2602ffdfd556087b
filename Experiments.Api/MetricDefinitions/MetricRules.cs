using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.MetricDefinitions;

/// <summary>What holds for the definition of a metric.</summary>
internal static class MetricRules
{
    public static readonly string[] Aggregations = Words.All<MetricAggregation>();
    public static readonly string[] Directions = Words.All<MetricDirection>();
    public static readonly string[] Roles = Words.All<MetricRole>();
    public static readonly string[] ExpectedDirections = Words.All<ExpectedDirection>();

    private const int MaxSteps = 10;
    private const int MaxQuantiles = 5;
    private const double MaxHours = 24 * 400;

    // A second.
    private const double LeastHours = 1 / 3601.0;

    /// <summary>Reports, by path, what is wrong with a definition for this aggregation.</summary>
    public static void Check(string? aggregation, MetricDefinition? definition, Action<string, string> wrong) =>
        Check(Words.TryParse<MetricAggregation>(aggregation), definition, wrong);

    private static void Check(MetricAggregation? aggregation, MetricDefinition? definition, Action<string, string> wrong)
    {
        if (definition is null)
        {
            wrong("definition", "This is required: an object that names the event.");
            return;
        }

        var isFunnel = aggregation == MetricAggregation.Funnel;
        var isRetention = aggregation == MetricAggregation.Retention;
        Demand(definition.Version is null or 1, "version", "The only version is 1.");
        if (isFunnel)
        {
            CheckFunnel();
        }
        else
        {
            Demand(definition.Steps is null, "steps", "Only a funnel has steps.");
            Demand(definition.Order is null, "order", "Only a funnel has this.");
            Demand(definition.Exclusions is null, "exclusions", "Only a funnel has these.");
            Demand(definition.WindowHours is null, "window_hours", "Only a funnel has a window.");
            Source("", new(definition.Event, definition.Filters, definition.Property));
        }

        Demand(
            (aggregation == MetricAggregation.Ratio) == definition.Denominator is not null,
            "denominator",
            "A ratio needs this: the event that it is divided by; nothing else has it."
        );
        if (aggregation == MetricAggregation.Ratio && definition.Denominator is { } denominator)
        {
            Source("denominator", denominator);
        }

        CheckRetention();
        Demand(
            definition.ConversionWindowHours is null or (>= LeastHours and <= MaxHours),
            "conversion_window_hours",
            "This must be a second at least (0.0003), and at most 9600."
        );
        OneOf("maturity", definition.Maturity, MetricDefinition.Maturities);
        Demand(
            definition.Maturity is null || isRetention || definition.ConversionWindowHours is not null,
            "maturity",
            "Only retention and metrics with conversion_window_hours have a window that can be over."
        );
        Demand(
            definition.AtLeast is null
                || (
                    double.IsFinite(definition.AtLeast.Value)
                    && aggregation
                        is MetricAggregation.Count
                            or MetricAggregation.CountDistinct
                            or MetricAggregation.Sum
                            or MetricAggregation.Max
                            or MetricAggregation.Min
                ),
            "at_least",
            "Only a count, a count_distinct, a sum, a max or a min has a threshold."
        );
        Demand(definition.LookbackDays is null or (> 0 and <= 30), "lookback_days", "This must be above 0 and at most 30.");
        Demand(definition.LookbackDays is null || !isRetention, "lookback_days", "Retention has no covariate.");
        CheckWinsorization();
        Demand(
            definition.Quantiles is null
                || (
                    definition.AtLeast is null
                    && aggregation
                        is MetricAggregation.Count
                            or MetricAggregation.CountDistinct
                            or MetricAggregation.Sum
                            or MetricAggregation.Max
                            or MetricAggregation.Min
                ),
            "quantiles",
            "Only a count, a sum, a max or a min without a threshold has quantiles."
        );
        Demand(
            definition.Quantiles is null
                || (
                    definition.Quantiles is { Count: >= 1 and <= MaxQuantiles }
                    && definition.Quantiles.All(quantile => quantile is > 0 and < 1)
                    && definition.Quantiles.Distinct().Count() == definition.Quantiles.Count
                ),
            "quantiles",
            $"These are 1 to {MaxQuantiles} different numbers between 0 and 1."
        );

        void CheckFunnel()
        {
            Demand(definition.Steps is { Count: >= 2 and <= MaxSteps }, "steps", $"A funnel has 2 to {MaxSteps} steps.");
            Demand(
                definition.Event is null && definition.Filters is null && definition.Property is null,
                "event",
                "A funnel names its events in 'steps'."
            );
            Demand(
                definition.WindowHours is null or (>= LeastHours and <= MaxHours),
                "window_hours",
                "This must be a second at least (0.0003), and at most 9600."
            );
            OneOf("order", definition.Order, MetricDefinition.Orders);
            foreach (var (index, step) in Few(definition.Steps, MaxSteps).Index())
            {
                Source($"steps[{index}]", step);
            }

            Demand(
                definition.Exclusions is null or { Count: >= 1 and <= MaxSteps },
                "exclusions",
                $"There may be 1 to {MaxSteps} of these."
            );
            foreach (var (index, exclusion) in Few(definition.Exclusions, MaxSteps).Index())
            {
                Source($"exclusions[{index}]", exclusion);
            }
        }

        void CheckRetention()
        {
            Demand(
                isRetention
                    ? definition is { FromHours: >= 0, ToHours: <= MaxHours } && definition.ToHours - definition.FromHours >= LeastHours
                    : definition.FromHours is null && definition.ToHours is null,
                "from_hours",
                "Retention needs from_hours and to_hours, 0 <= from < to <= 9600, a second apart at least; nothing else has them."
            );
            Demand(
                definition.ReturnEvent is null || (isRetention && !definition.StartsAtExposure),
                "return_event",
                "Only retention that starts at an event has this."
            );
            Demand(definition.StartsAt is null || isRetention, "starts_at", "Only retention has this.");
            OneOf("starts_at", definition.StartsAt, MetricDefinition.Starts);
            Demand(
                !definition.StartsAtExposure || definition.ConversionWindowHours is null,
                "conversion_window_hours",
                "Retention that starts at the exposure has its window in from_hours and to_hours."
            );
            if (isRetention && definition.ReturnEvent is { } back)
            {
                Source("return_event", back);
            }
        }

        void CheckWinsorization()
        {
            if (definition.Winsorize is not { } winsorize)
            {
                return;
            }

            Demand(
                definition.AtLeast is null
                    && aggregation
                        is MetricAggregation.Count
                            or MetricAggregation.CountDistinct
                            or MetricAggregation.Sum
                            or MetricAggregation.Max
                            or MetricAggregation.Min,
                "winsorize",
                "Only a count, a sum, a max or a min without a threshold can be winsorised."
            );
            Demand(
                (winsorize.Lower ?? 0) is >= 0 and < 1
                    && (winsorize.Upper ?? 1) is > 0 and <= 1
                    && (winsorize.Lower ?? 0) < (winsorize.Upper ?? 1),
                "winsorize",
                "These are percentiles: 0 <= lower < upper <= 1."
            );
            Demand(
                winsorize.Cap is null || (winsorize is { Lower: null, Upper: null, Of: null } && winsorize.Cap > 0),
                "winsorize.cap",
                "A cap is a number above 0, and there are no percentiles beside it."
            );
            OneOf("winsorize.of", winsorize.Of, Winsorization.Populations);
        }

        void OneOf(string field, string? word, string[] words) =>
            Demand(word is null || words.Contains(word), field, $"This must be one of: {string.Join(", ", words)}.");

        void Source(string path, MetricSource? source)
        {
            var prefix = path.Length == 0 ? "" : path + ".";
            Demand(
                !string.IsNullOrWhiteSpace(source?.Event) && source.Event.Length <= EventSizeLimits.Event,
                prefix + "event",
                "This is required: the name of the event, 256 characters at most."
            );
            Demand(!EventNames.IsReserved(source?.Event), prefix + "event", EventNames.Reserved);
            Demand(
                source?.Property is null || FilterRules.IsProperty(source.Property),
                prefix + "property",
                "This must be 'value', or 'metadata.' and the name of a member."
            );
            Demand(
                source?.Property is null
                    || aggregation
                        is MetricAggregation.Sum
                            or MetricAggregation.Mean
                            or MetricAggregation.Max
                            or MetricAggregation.Min
                            or MetricAggregation.CountDistinct
                            or MetricAggregation.Ratio,
                prefix + "property",
                "Only a sum, a mean, a max, a min, a count_distinct or a ratio takes something from a property."
            );
            Demand(
                source?.Filters is null or { Count: <= FilterRules.Most },
                prefix + "filters",
                $"There may be {FilterRules.Most} of these at most."
            );
            FilterRules.Check($"definition.{prefix}", Few(source?.Filters, FilterRules.Most), wrong);
        }

        void Demand(bool holds, string field, string message)
        {
            if (!holds)
            {
                wrong($"definition.{field}", message);
            }
        }

        // What is too long is not looked into.
        static IReadOnlyList<T> Few<T>(IReadOnlyList<T>? list, int most) => list is null || list.Count > most ? [] : list;
    }

    /// <summary>
    /// By which share of control's mean a metric that must not get worse may do so and still be called safe, unless it says otherwise.
    /// </summary>
    public const double DefaultMargin = 0.1;

    public const string NoMargin = "This is a share of control's mean, from 0 to 1.";

    public const string Contradicts =
        "This contradicts the direction of the metric: 'up' goes with increase and not_decrease, 'down' with decrease and not_increase.";

    public static bool IsMargin(double? margin) => margin is null or (>= 0 and <= 1);

    public const string NoMetadata = "This must be an object of 8 KiB at most.";

    private const int MetadataLength = 8 * 1024;

    /// <summary>Whether this can go with the metric of an experiment: an object of the client's own, or nothing.</summary>
    public static bool IsMetadata(JsonElement? metadata) =>
        metadata is null
        || (
            metadata.Value.ValueKind == JsonValueKind.Object
            && System.Text.Encoding.UTF8.GetByteCount(metadata.Value.GetRawText()) <= MetadataLength
        );

    /// <summary>The definition as it is stored.</summary>
    public static string Stored(MetricDefinition definition) => JsonSerializer.Serialize(definition, Sparse);

    /// <summary>A definition as it was stored.</summary>
    /// <exception cref="JsonException">It cannot be read.</exception>
    public static MetricDefinition Read(string stored) => StoredJson.Read<MetricDefinition>(stored);

    private static readonly JsonSerializerOptions Sparse = new(ApiJson.Options)
    {
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
    };
}
