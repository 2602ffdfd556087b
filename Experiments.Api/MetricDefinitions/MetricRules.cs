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

    private const int MaxFilters = 20;
    private const int MaxSteps = 10;
    private const double MaxHours = 24 * 400;

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
        Demand(definition.Version is null or 1, "version", "The only version is 1.");
        if (isFunnel)
        {
            Demand(definition.Steps is { Count: >= 2 and <= MaxSteps }, "steps", $"A funnel has 2 to {MaxSteps} steps.");
            Demand(
                definition.Event is null && definition.Filters is null && definition.Property is null,
                "event",
                "A funnel names its events in 'steps'."
            );
            Demand(definition.WindowHours is null or (> 0 and <= MaxHours), "window_hours", "This must be above 0 and at most 9600.");
            foreach (var (index, step) in Few(definition.Steps, MaxSteps).Index())
            {
                Source($"steps[{index}]", step);
            }
        }
        else
        {
            Demand(definition.Steps is null, "steps", "Only a funnel has steps.");
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

        var isRetention = aggregation == MetricAggregation.Retention;
        Demand(
            isRetention
                ? definition is { FromHours: >= 0, ToHours: <= MaxHours } && definition.ToHours > definition.FromHours
                : definition.FromHours is null && definition.ToHours is null,
            "from_hours",
            "Retention needs from_hours and to_hours, 0 <= from < to <= 9600; nothing else has them."
        );
        Demand(
            definition.ConversionWindowHours is null or (> 0 and <= MaxHours),
            "conversion_window_hours",
            "This must be above 0 and at most 9600."
        );
        Demand(definition.LookbackDays is null or (> 0 and <= 30), "lookback_days", "This must be above 0 and at most 30.");
        Demand(
            definition.LookbackDays is null
                || aggregation
                    is MetricAggregation.Occurrence
                        or MetricAggregation.Count
                        or MetricAggregation.Sum
                        or MetricAggregation.Mean,
            "lookback_days",
            "Only an occurrence, a count, a sum or a mean has a covariate."
        );
        if (definition.Winsorize is { } winsorize)
        {
            Demand(
                aggregation is MetricAggregation.Count or MetricAggregation.Sum or MetricAggregation.Mean,
                "winsorize",
                "Only a count, a sum or a mean can be winsorised."
            );
            Demand(
                (winsorize.Lower ?? 0) is >= 0 and < 1
                    && (winsorize.Upper ?? 1) is > 0 and <= 1
                    && (winsorize.Lower ?? 0) < (winsorize.Upper ?? 1),
                "winsorize",
                "These are percentiles: 0 <= lower < upper <= 1."
            );
        }

        void Source(string path, MetricSource? source)
        {
            var prefix = path.Length == 0 ? "" : path + ".";
            Demand(
                !string.IsNullOrWhiteSpace(source?.Event) && source.Event.Length <= EventSizeLimits.Event,
                prefix + "event",
                "This is required: the name of the event, 256 characters at most."
            );
            Demand(source?.Event?.StartsWith('$') != true, prefix + "event", "Names that start with '$' are reserved.");
            Demand(
                source?.Property is null || IsProperty(source.Property),
                prefix + "property",
                "This must be 'value', or 'metadata.' and the name of a member."
            );
            Demand(
                source?.Property is null || aggregation is MetricAggregation.Sum or MetricAggregation.Mean or MetricAggregation.Ratio,
                prefix + "property",
                "Only a sum, a mean or a ratio takes a number from a property."
            );
            Demand(source?.Filters is null or { Count: <= MaxFilters }, prefix + "filters", $"There may be {MaxFilters} of these at most.");
            foreach (var (index, filter) in Few(source?.Filters, MaxFilters).Index())
            {
                Filter($"{prefix}filters[{index}]", filter);
            }
        }

        void Filter(string path, MetricFilter? filter)
        {
            Demand(
                filter?.Property is not null && IsProperty(filter.Property),
                path + ".property",
                "This is required: 'value', or 'metadata.' and the name of a member."
            );
            var kind = filter?.Value?.ValueKind;
            Demand(
                filter?.Operator switch
                {
                    "exists" => kind is null or JsonValueKind.Null,
                    "equals" => kind is JsonValueKind.String or JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False,
                    "in" => kind is JsonValueKind.Array && filter.Value!.Value.GetArrayLength() is >= 1 and <= 1000,
                    "greater" or "less" => kind is JsonValueKind.Number,
                    _ => false,
                },
                path + ".operator",
                "This must be exists (without a value), equals (a value), in (a list), greater or less (a number)."
            );
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

    private static bool IsProperty(string property) =>
        property == "value" || (property.StartsWith("metadata.", StringComparison.Ordinal) && property.Length is > 9 and <= 200);
}
