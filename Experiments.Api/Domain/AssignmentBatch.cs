using System.Text;

namespace Experiments.Api.Domain;

/// <summary>
/// The hashes that assign one identity in several experiments, computed several at once; the same numbers as those of
/// <see cref="Assignment"/>.
/// </summary>
internal sealed class AssignmentBatch
{
    private const int LongestOnStack = 512;

    private readonly Sha1Lanes[] _groups;
    private readonly int _count;

    /// <param name="salts">The salts of the experiments. Each can be in one; see <see cref="CanHave"/>.</param>
    public AssignmentBatch(IReadOnlyCollection<string> salts)
    {
        _count = salts.Count;
        _groups = [.. salts.Chunk(Sha1Lanes.Count).Select(group => new Sha1Lanes(group))];
    }

    /// <summary>Whether a salt can be in a batch: as those that the database makes are.</summary>
    public static bool CanHave(string salt) => Sha1Lanes.IsFast && salt.Length == Sha1Lanes.Own && Ascii.IsValid(salt);

    /// <summary>The numbers that decide enrolment, as <see cref="Assignment.Draw"/> gives them.</summary>
    public void Draws(string identifier, Span<double> draws) => Hash(identifier, "", draws);

    /// <summary>The numbers that decide the variant, as <see cref="Assignment.VariantHash"/> gives them.</summary>
    public void VariantHashes(string identifier, Span<double> hashes) => Hash(identifier, Assignment.OfVariant, hashes);

    private void Hash(string identifier, string purpose, Span<double> numbers)
    {
        var size = Encoding.UTF8.GetMaxByteCount(identifier.Length) + purpose.Length + 1;
        Span<byte> rest = size <= LongestOnStack ? stackalloc byte[LongestOnStack] : new byte[size];
        rest[0] = (byte)'.';
        var length = 1 + Encoding.UTF8.GetBytes(identifier, rest[1..]);
        length += Encoding.UTF8.GetBytes(purpose, rest[length..]);
        var words = Sha1Lanes.Pad(rest[..length]);
        Span<ulong> bits = stackalloc ulong[Sha1Lanes.Count];
        for (var group = 0; group < _groups.Length; group++)
        {
            var first = group * Sha1Lanes.Count;
            var own = bits[..Math.Min(Sha1Lanes.Count, _count - first)];
            _groups[group].First60Bits(words, own);
            for (var lane = 0; lane < own.Length; lane++)
            {
                numbers[first + lane] = Assignment.Share(own[lane]);
            }
        }
    }
}
