using System.Globalization;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.MetricDefinitions;

/// <summary>One event of a definition.</summary>
internal sealed record MetricSource(
    [property: Must(Required = true)] string? Event = null,
    IReadOnlyList<MetricFilter?>? Filters = null,
    string? Property = null
)
{
    /// <summary>Whether it depends on the metadata of events.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public bool ReadsMetadata =>
        Property?.StartsWith("metadata.", StringComparison.Ordinal) == true
        || Filters?.Any(filter => filter!.Property!.StartsWith("metadata.", StringComparison.Ordinal)) == true;

    /// <summary>Whether all that must hold for an event holds for this one.</summary>
    public bool Passes(string? value, JsonElement? metadata) =>
        Filters is null || Filters.All(filter => filter!.Holds(Read(filter.Property!, value, metadata)));

    /// <summary>The number that an event gives, or null when it has none.</summary>
    public double? NumberOf(string? value, JsonElement? metadata) => Number(Read(Property ?? "value", value, metadata));

    /// <summary>
    /// A number that stands for the text of the property, the same for equal texts and different for others: 52 bits of its hash. Null when
    /// the event has no such property.
    /// </summary>
    public double? DistinctOf(string? value, JsonElement? metadata) =>
        Read(Property ?? "value", value, metadata) is { } text ? XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(text)) >> 12 : null;

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
