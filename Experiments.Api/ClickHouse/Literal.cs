using System.Globalization;
using System.Text;

namespace Experiments.Api.ClickHouse;

/// <summary>Lists in a query. As parameters they would be part of its address, which may not be so long.</summary>
internal static class Literal
{
    /// <summary>Numbers between parentheses.</summary>
    public static string List(IEnumerable<long> numbers) =>
        $"({string.Join(',', numbers.Select(number => number.ToString(CultureInfo.InvariantCulture)).DefaultIfEmpty("NULL"))})";

    /// <summary>Texts between parentheses, as their bytes, so that nothing in them can end one.</summary>
    public static string List(IEnumerable<string> texts)
    {
        var bytes = texts.Select(text => $"unhex('{Convert.ToHexString(Encoding.UTF8.GetBytes(text))}')");
        return $"({string.Join(',', bytes.DefaultIfEmpty("NULL"))})";
    }

    /// <summary>Identities between parentheses.</summary>
    public static string List(IEnumerable<Guid> identities) =>
        $"({string.Join(',', identities.Select(identity => $"'{identity:D}'").DefaultIfEmpty("NULL"))})";
}
