namespace Experiments.Api.Domain;

/// <summary>
/// The first 60 bits of a SHA-1 (FIPS 180-4). An identity in fifty experiments needs a hundred hashes of one block each. The platform's
/// implementation takes twice as long per hash, nearly all of it in the call into the native library.
/// </summary>
internal static class Sha1
{
    private const int Block = 64;

    public static ulong First60Bits(ReadOnlySpan<byte> message)
    {
        Span<uint> state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0];
        var rest = message;
        for (; rest.Length >= Block; rest = rest[Block..])
        {
            Compress(state, rest[..Block]);
        }

        // A single bit, zeroes, and the length in bits: one more block, or two where they do not fit into one.
        Span<byte> end = stackalloc byte[2 * Block];
        end.Clear();
        rest.CopyTo(end);
        end[rest.Length] = 0x80;
        end = end[..(rest.Length < Block - 8 ? Block : 2 * Block)];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64BigEndian(end[^8..], 8 * (ulong)message.Length);
        for (var block = 0; block < end.Length; block += Block)
        {
            Compress(state, end.Slice(block, Block));
        }

        return (((ulong)state[0] << 32) | state[1]) >> 4;
    }

    private static void Compress(Span<uint> state, ReadOnlySpan<byte> block)
    {
        Span<uint> w = stackalloc uint[80];
        for (var i = 0; i < 16; i++)
        {
            w[i] = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(block[(4 * i)..]);
        }

        for (var i = 16; i < w.Length; i++)
        {
            w[i] = uint.RotateLeft(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        }

        var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4]);
        for (var i = 0; i < 20; i++)
        {
            Round((b & c) | (~b & d), 0x5A827999, w[i], ref a, ref b, ref c, ref d, ref e);
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

        (state[0], state[1], state[2], state[3], state[4]) = (state[0] + a, state[1] + b, state[2] + c, state[3] + d, state[4] + e);
    }

    private static void Round(uint f, uint k, uint w, ref uint a, ref uint b, ref uint c, ref uint d, ref uint e)
    {
        var next = uint.RotateLeft(a, 5) + f + e + k + w;
        (e, d, c, b, a) = (d, c, uint.RotateLeft(b, 30), a, next);
    }
}
