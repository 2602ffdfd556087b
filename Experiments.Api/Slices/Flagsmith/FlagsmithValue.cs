using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>
/// A value in Flagsmith's types: a string, an integer or a boolean. Whatever else a feature may serve here is shown as text of JSON.
/// </summary>
internal static class FlagsmithValue
{
    /// <summary>The value as text; null for none.</summary>
    public static string? Text(JsonElement? value) =>
        value switch
        {
            null or { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined } => null,
            { ValueKind: JsonValueKind.String } text => text.GetString(),
            var other => other.Value.GetRawText(),
        };

    public static long? Integer(JsonElement? value) =>
        value is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var integer) ? integer : null;

    public static bool? Boolean(JsonElement? value) =>
        value is { ValueKind: JsonValueKind.True or JsonValueKind.False } boolean ? boolean.GetBoolean() : null;
}

/// <summary>The value that control serves, always as text, with its type: <c>string</c>, <c>integer</c> or <c>boolean</c>.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record FlagsmithTypedValue([property: Words("string", "integer", "boolean")] string? Type = null, string? Value = null)
{
    public static FlagsmithTypedValue Of(JsonElement? value) =>
        new(
            FlagsmithValue.Boolean(value) is not null ? "boolean"
                : FlagsmithValue.Integer(value) is not null ? "integer"
                : "string",
            FlagsmithValue.Text(value) ?? ""
        );
}
