using System.Globalization;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// The id of an object in a path. Whatever is not an id becomes one that no object has, so that it is not found like any other
/// that does not exist, after the caller has been authorised and not before.
/// </summary>
internal readonly record struct ObjectId(long Value)
{
    /// <summary>The id that a query names, or null when it names none.</summary>
    public static long? In(string? text) => TryParse(text, null, out var id) && id.Value > 0 ? id.Value : null;

    public static bool TryParse(string? text, IFormatProvider? provider, out ObjectId id)
    {
        id = new(long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0);
        return true;
    }
}
