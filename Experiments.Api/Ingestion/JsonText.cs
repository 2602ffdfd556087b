using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Experiments.Api.Ingestion;

/// <summary>Reads a string that the database can store.</summary>
internal static class JsonText
{
    public static bool TryRead(ref Utf8JsonReader json, [NotNullWhen(true)] out string? text, [NotNullWhen(false)] out string? why)
    {
        (text, why) = (null, null);
        try
        {
            text = json.GetString()!;
        }
        catch (InvalidOperationException)
        {
            why = "holds half of a surrogate pair, which is not a character";
            return false;
        }

        // A NUL character can only come from an escape sequence.
        if (json.ValueIsEscaped && text.Contains('\0', StringComparison.Ordinal))
        {
            why = "holds a NUL character";
            return false;
        }

        return true;
    }
}
