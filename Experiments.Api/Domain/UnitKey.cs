using System.Globalization;
using System.Text.Json;

namespace Experiments.Api.Domain;

/// <summary>Finds the value of a unit other than the identifier, such as a company, in the traits or the metadata of an event.</summary>
internal static class UnitKey
{
    /// <summary>
    /// The value of the key: a text or a number of 1 to 2000 characters. Traits come first, also where they hold something else. The same
    /// as the function <c>unit_of</c> of the database.
    /// </summary>
    public static string? ValueOf(string key, JsonElement? traits, JsonElement? metadata) =>
        (Member(traits, key) ?? Member(metadata, key)) is { } member ? Text(member) : null;

    /// <summary>A number of JSON as PostgreSQL writes it, without an exponent.</summary>
    public static string Digits(string number) =>
        number.AsSpan().ContainsAny('e', 'E') && decimal.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? value.ToString(CultureInfo.InvariantCulture)
            : number;

    private static JsonElement? Member(JsonElement? members, string key) =>
        members is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(key, out var member) ? member : null;

    private static string? Text(JsonElement member) =>
        member.ValueKind switch
        {
            JsonValueKind.Number => Digits(member.GetRawText()),
            JsonValueKind.String => member.GetString() is { Length: > 0 } text && Identity.Fits(text) ? text : null,
            _ => null,
        };
}
