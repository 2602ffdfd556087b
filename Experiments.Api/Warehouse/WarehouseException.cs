using System.Text;

namespace Experiments.Api.Warehouse;

/// <summary>A warehouse cannot be read. The message says what to mend, and no secret.</summary>
internal sealed class WarehouseException(string message, Exception? inner = null) : Exception(Plain(message), inner)
{
    // In characters.
    private const int Longest = 500;

    // It is stored, and some of it comes from whatever answered: as much as helps, without what a text in the database may not hold.
    private static string Plain(string message) =>
        string.Concat(message.EnumerateRunes().Take(Longest).Select(rune => Rune.IsControl(rune) ? " " : rune.ToString()));
}
