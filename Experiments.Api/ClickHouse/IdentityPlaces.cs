using System.Globalization;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Ranges of identities in the order in which ClickHouse has those of a name, so that it need not read others: that of the second half.
/// By the two bytes in the middle, there are 65,536 places, and identities are spread over them evenly.
/// </summary>
internal static class IdentityPlaces
{
    /// <summary>How many there are.</summary>
    public const int Count = 1 << 16;

    /// <summary>Which identities are in the places from this one until before the next.</summary>
    public static string Between(int first, int next)
    {
        var last = next - 1;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"""
            identity BETWEEN toUUID('00000000-0000-0000-{first:x4}-000000000000') AND toUUID('ffffffff-ffff-ffff-{last:x4}-ffffffffffff')
            """
        );
    }
}
