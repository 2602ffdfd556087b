using System.Buffers;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Evaluation;

/// <summary>Writes responses that are assembled from precomputed bytes.</summary>
internal static class ServedResponse
{
    private const string Json = "application/json; charset=utf-8";

    public static Task Write(HttpContext http, ReadOnlyMemory<byte> body, int status = StatusCodes.Status200OK, string contentType = Json)
    {
        Begin(http, status, body.Length, contentType);
        http.Response.BodyWriter.Write(body.Span);
        return Task.CompletedTask;
    }

    /// <summary>Writes what stands ready, or 304 when the client has it already.</summary>
    public static Task Write(HttpContext http, ReadOnlyMemory<byte> body, string etag) =>
        IsNotModified(http, etag) ? Task.CompletedTask : Write(http, body);

    /// <summary>
    /// Writes a list of one outcome per flag between two pieces of JSON, or 304 when the client has it already. Without an ETag the
    /// protocol has no such thing.
    /// </summary>
    public static void WriteFlags(
        HttpContext http,
        Snapshot snapshot,
        in Units units,
        ReadOnlySpan<byte> before,
        ReadOnlySpan<byte> after,
        string? etag,
        FlagFormat format,
        IReadOnlyList<CompiledFlag>? among = null
    )
    {
        if (etag is not null && IsNotModified(http, etag))
        {
            return;
        }

        var flags = among ?? snapshot.Flags;
        var outcomes = ArrayPool<int>.Shared.Rent(flags.Count);
        if (among is null)
        {
            snapshot.Batch.Evaluate(units, outcomes);
        }
        else
        {
            FlagBatch.EvaluateEach(flags, units, outcomes);
        }

        var length = before.Length + after.Length + Math.Max(0, flags.Count - 1);
        for (var i = 0; i < flags.Count; i++)
        {
            length += flags[i].In(format, outcomes[i]).Length;
        }

        Begin(http, StatusCodes.Status200OK, length);
        // Put together first, because the server takes a lock for each piece that is written.
        var whole = ArrayPool<byte>.Shared.Rent(length);
        var end = Append(whole, 0, before);
        for (var i = 0; i < flags.Count; i++)
        {
            if (i > 0)
            {
                whole[end++] = (byte)',';
            }

            end = Append(whole, end, flags[i].In(format, outcomes[i]).Span);
        }

        end = Append(whole, end, after);
        http.Response.BodyWriter.Write(whole.AsSpan(0, end));
        ArrayPool<byte>.Shared.Return(whole);
        ArrayPool<int>.Shared.Return(outcomes);
    }

    /// <summary>The ETag of what a snapshot serves in a context: the same bytes, the same tag.</summary>
    public static string Tag(Snapshot snapshot, ReadOnlySpan<byte> context)
    {
        ReadOnlySpan<UInt128> both = [snapshot.Fingerprint, XxHash128.HashToUInt128(context)];
        return $"\"{XxHash128.HashToUInt128(MemoryMarshal.AsBytes(both)):x32}\"";
    }

    public static string Tag(Snapshot snapshot, UInt128 context) => Tag(snapshot, MemoryMarshal.AsBytes<UInt128>([context]));

    public static string Tag(Snapshot snapshot, string? identifier) => Tag(snapshot, MemoryMarshal.AsBytes(identifier.AsSpan()));

    private static int Append(byte[] whole, int end, ReadOnlySpan<byte> piece)
    {
        piece.CopyTo(whole.AsSpan(end));
        return end + piece.Length;
    }

    private static bool IsNotModified(HttpContext http, string etag)
    {
        http.Response.Headers.ETag = etag;
        if (!Preconditions.IsKnown(http.Request.Headers.IfNoneMatch, etag))
        {
            return false;
        }

        http.Response.Headers.CacheControl = "private, no-cache";
        http.Response.StatusCode = StatusCodes.Status304NotModified;
        return true;
    }

    private static void Begin(HttpContext http, int status, int length, string contentType = Json)
    {
        var response = http.Response;
        response.StatusCode = status;
        response.Headers.CacheControl = status < 400 ? "private, no-cache" : "no-store";
        response.ContentType = contentType;
        response.ContentLength = length;
    }
}
