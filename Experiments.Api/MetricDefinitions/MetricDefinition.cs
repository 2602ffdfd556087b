using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Experiments.Api.MetricDefinitions;

/// <summary>Which events a metric is about and what is taken from them.</summary>
/// <param name="Version">The version of the format: 1, or absent.</param>
/// <param name="Event">The name of the event; of a ratio, of its numerator.</param>
/// <param name="Filters">The conditions that an event must meet to count.</param>
/// <param name="Property">Where the number is: <c>value</c>, or <c>metadata.</c> and a member's name. A ratio without it counts
/// events.</param>
/// <param name="Denominator">The other event of a ratio.</param>
/// <param name="Steps">The events of a funnel, in order.</param>
/// <param name="WindowHours">Within how many hours of its first step a funnel must be passed.</param>
/// <param name="FromHours">For retention, how many hours after the first event a return starts to count.</param>
/// <param name="ToHours">For retention, how many hours after the first event a return stops counting.</param>
/// <param name="ConversionWindowHours">For how many hours after its first exposure an identity's events count.</param>
/// <param name="Winsorize">The percentiles, over all arms together, between which values are clamped.</param>
/// <param name="LookbackDays">For how many days before its first exposure an identity's values are taken as the covariate (CUPED).</param>
internal sealed record MetricDefinition(
    int? Version = null,
    string? Event = null,
    IReadOnlyList<MetricFilter?>? Filters = null,
    string? Property = null,
    MetricSource? Denominator = null,
    IReadOnlyList<MetricSource?>? Steps = null,
    double? WindowHours = null,
    double? FromHours = null,
    double? ToHours = null,
    double? ConversionWindowHours = null,
    Winsorization? Winsorize = null,
    double? LookbackDays = null
)
{
    /// <summary>The events, by slot.</summary>
    [JsonIgnore]
    public IReadOnlyList<MetricSource> Sources =>
        Steps is { Count: > 0 } steps ? [.. steps.Select(step => step!)]
        : Denominator is { } denominator ? [new(Event, Filters, Property), denominator]
        : [new(Event, Filters, Property)];
}

/// <summary>One event of a definition.</summary>
internal sealed record MetricSource(string? Event = null, IReadOnlyList<MetricFilter?>? Filters = null, string? Property = null)
{
    /// <summary>Whether all that must hold for an event holds for this one.</summary>
    public bool Passes(string? value, JsonElement? metadata) =>
        Filters is null || Filters.All(filter => filter!.Holds(Read(filter.Property!, value, metadata)));

    /// <summary>The number that an event gives, or null when it has none.</summary>
    public double? NumberOf(string? value, JsonElement? metadata) => Number(Read(Property ?? "value", value, metadata));

    /// <summary>
    /// Parses a number. Null if the text is not a number, or if its square would overflow. A number whose square would underflow is read
    /// as zero.
    /// </summary>
    public static double? Number(string? text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && Math.Abs(number) <= 1e64
            ? (Math.Abs(number) < 1e-64 ? 0 : number)
            : null;

    private static string? Read(string property, string? value, JsonElement? metadata) =>
        property == "value" ? value
        : metadata is { ValueKind: JsonValueKind.Object } members && members.TryGetProperty(property["metadata.".Length..], out var member)
            ? member.ValueKind switch
            {
                JsonValueKind.String => member.GetString(),
                JsonValueKind.Null => null,
                _ => member.GetRawText(),
            }
        : null;
}

/// <summary>A condition on a property of an event.</summary>
internal sealed record MetricFilter(string? Property = null, string? Operator = null, JsonElement? Value = null)
{
    public bool Holds(string? actual) =>
        Operator switch
        {
            "exists" => actual is not null,
            "equals" => actual is not null && Same(actual, Value!.Value),
            "in" => actual is not null && Value!.Value.EnumerateArray().Any(value => Same(actual, value)),
            "greater" => MetricSource.Number(actual) > Value!.Value.GetDouble(),
            "less" => MetricSource.Number(actual) < Value!.Value.GetDouble(),
            _ => false,
        };

    // A number is the same however it is written.
    private static bool Same(string actual, JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => actual == value.GetString(),
            JsonValueKind.Number => MetricSource.Number(actual) == value.GetDouble(),
            _ => actual == value.GetRawText(),
        };
}

/// <summary>The percentiles, from 0 to 1, to which values below and above are clamped.</summary>
internal sealed record Winsorization(double? Lower = null, double? Upper = null);
