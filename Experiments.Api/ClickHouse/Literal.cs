using System.Globalization;

namespace Experiments.Api.ClickHouse;

/// <summary>Lists in a query. As parameters they would be part of its address, which may not be so long.</summary>
internal static class Literal
{
    /// <summary>Numbers between parentheses.</summary>
    public static string List(IEnumerable<long> numbers) =>
        $"({string.Join(',', numbers.Select(number => number.ToString(CultureInfo.InvariantCulture)).DefaultIfEmpty("NULL"))})";

    /// <summary>Identities between parentheses.</summary>
    public static string List(IEnumerable<Guid> identities) =>
        $"({string.Join(',', identities.Select(identity => $"'{identity:D}'").DefaultIfEmpty("NULL"))})";
}
