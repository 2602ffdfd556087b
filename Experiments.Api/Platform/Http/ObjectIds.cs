using System.Globalization;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Ids of objects in paths and queries. Whatever is not an id is read as one that no object has, so that it is not found like any
/// other that does not exist, after the caller has been authorised and not before.
/// </summary>
internal static class ObjectIds
{
    /// <summary>The id that a path names; 0, which no object has, when it names none.</summary>
    public static long Parse(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0;

    /// <summary>The id that a query names, or null when it names none.</summary>
    public static long? In(string? text) => Parse(text) is > 0 and var id ? id : null;
}
