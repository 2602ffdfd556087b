using System.Text.RegularExpressions;

namespace Experiments.Tests.Support;

/// <summary>Receipts for events. A store that finds out later which events it had says null for the number of duplicates.</summary>
internal static partial class Receipts
{
    public static void ShouldHaveDuplicates(this Reply receipt, int duplicates)
    {
        if (TestEventStore.IsClickHouse)
        {
            receipt.Json!["duplicates"].ShouldBeNull();
        }
        else
        {
            receipt["duplicates"].GetValue<int>().ShouldBe(duplicates);
        }
    }

    public static void ShouldBeReceipt(this Reply receipt, string expected) =>
        receipt.ToString().ShouldBe(TestEventStore.IsClickHouse ? Duplicates().Replace(expected, "\"duplicates\":null") : expected);

    [GeneratedRegex("\"duplicates\":\\d+")]
    private static partial Regex Duplicates();
}
