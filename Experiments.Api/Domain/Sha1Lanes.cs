using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Text;

namespace Experiments.Api.Domain;

/// <summary>
/// The same as <see cref="Sha1"/> for eight messages at once that differ in their first 32 bytes only, as those of one identity in eight
/// experiments do: each lane of a vector is one of them.
/// </summary>
internal sealed class Sha1Lanes
{
    /// <summary>How many messages there are at once.</summary>
    public const int Count = 8;

    /// <summary>How many bytes the messages begin with that are their own.</summary>
    public const int Own = 32;

    private const int Block = 64;
    private const int Words = 16;
    private const int OwnWords = Own / sizeof(uint);

    // The own bytes as words: the first word of all messages, the second of all, and so on.
    private readonly Vector256<uint>[] _own = new Vector256<uint>[OwnWords];

    /// <param name="beginnings">Up to eight texts of 32 ASCII characters.</param>
    public Sha1Lanes(IReadOnlyList<string> beginnings)
    {
        Span<byte> bytes = stackalloc byte[Own];
        for (var lane = 0; lane < beginnings.Count; lane++)
        {
            Encoding.ASCII.GetBytes(beginnings[lane], bytes);
            for (var word = 0; word < OwnWords; word++)
            {
                _own[word] = _own[word].WithElement(lane, BinaryPrimitives.ReadUInt32BigEndian(bytes[(sizeof(uint) * word)..]));
            }
        }
    }

    /// <summary>Whether this machine computes several at once faster than one after the other.</summary>
    public static bool IsFast => Vector256.IsHardwareAccelerated;

    /// <summary>The rest of all messages as the words that are hashed: it ends with the padding of the algorithm.</summary>
    /// <param name="rest">What follows the own bytes.</param>
    public static uint[] Pad(ReadOnlySpan<byte> rest)
    {
        var length = Own + rest.Length;
        var bytes = new byte[((length + 8) / Block * Block) + Block - Own];
        rest.CopyTo(bytes);
        bytes[rest.Length] = 0x80;
        BinaryPrimitives.WriteUInt64BigEndian(bytes.AsSpan()[^8..], 8 * (ulong)length);
        var words = new uint[bytes.Length / sizeof(uint)];
        for (var word = 0; word < words.Length; word++)
        {
            words[word] = BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(sizeof(uint) * word));
        }

        return words;
    }

    /// <summary>The first 60 bits of each hash.</summary>
    /// <param name="rest">The rest of the messages; see <see cref="Pad"/>.</param>
    /// <param name="hashes">Where they go.</param>
    public void First60Bits(ReadOnlySpan<uint> rest, Span<ulong> hashes)
    {
        var state = new State(
            Vector256.Create(0x67452301u),
            Vector256.Create(0xEFCDAB89u),
            Vector256.Create(0x98BADCFEu),
            Vector256.Create(0x10325476u),
            Vector256.Create(0xC3D2E1F0u)
        );
        Span<Vector256<uint>> w = stackalloc Vector256<uint>[80];
        _own.CopyTo(w);
        for (var (word, next) = (0, OwnWords); word < rest.Length; word++)
        {
            w[next] = Vector256.Create(rest[word]);
            if (++next == Words)
            {
                Compress(ref state, w);
                next = 0;
            }
        }

        for (var lane = 0; lane < hashes.Length; lane++)
        {
            hashes[lane] = (((ulong)state.A[lane] << 32) | state.B[lane]) >> 4;
        }
    }

    private static void Compress(ref State state, Span<Vector256<uint>> w)
    {
        for (var i = Words; i < w.Length; i++)
        {
            w[i] = RotateLeft(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        }

        var (a, b, c, d, e) = state;
        for (var i = 0; i < 20; i++)
        {
            Round((b & c) | Vector256.AndNot(d, b), 0x5A827999, w[i], ref a, ref b, ref c, ref d, ref e);
        }

        for (var i = 20; i < 40; i++)
        {
            Round(b ^ c ^ d, 0x6ED9EBA1, w[i], ref a, ref b, ref c, ref d, ref e);
        }

        for (var i = 40; i < 60; i++)
        {
            Round((b & c) | (b & d) | (c & d), 0x8F1BBCDC, w[i], ref a, ref b, ref c, ref d, ref e);
        }

        for (var i = 60; i < 80; i++)
        {
            Round(b ^ c ^ d, 0xCA62C1D6, w[i], ref a, ref b, ref c, ref d, ref e);
        }

        state = new(state.A + a, state.B + b, state.C + c, state.D + d, state.E + e);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Round(
        Vector256<uint> f,
        uint k,
        Vector256<uint> w,
        ref Vector256<uint> a,
        ref Vector256<uint> b,
        ref Vector256<uint> c,
        ref Vector256<uint> d,
        ref Vector256<uint> e
    )
    {
        var next = RotateLeft(a, 5) + f + e + Vector256.Create(k) + w;
        (e, d, c, b, a) = (d, c, RotateLeft(b, 30), a, next);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> RotateLeft(Vector256<uint> value, [ConstantExpected] byte by) =>
        Avx512F.VL.IsSupported ? Avx512F.VL.RotateLeft(value, by) : (value << by) | (value >>> (32 - by));

    private readonly record struct State(Vector256<uint> A, Vector256<uint> B, Vector256<uint> C, Vector256<uint> D, Vector256<uint> E);
}
