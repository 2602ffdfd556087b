using System.Globalization;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Object ids in paths and queries. An invalid id is read as 0, which no object has. It therefore yields the same "not found" response as
/// any other unknown id, and only after the caller has been authorised.
/// </summary>
internal static class ObjectIds
{
    /// <summary>The id that a path names; 0, which no object has, when it names none.</summary>
    public static long Parse(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : 0;

    /// <summary>The id that a query names, or null when it names none.</summary>
    public static long? In(string? text) => Parse(text) is > 0 and var id ? id : null;
}
