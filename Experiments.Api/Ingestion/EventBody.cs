using System.Buffers;
using System.Buffers.Text;
using System.Net;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Ingestion;

/// <summary>
/// The JSON that applications send: servers, pages and beacons. A page that is being left can only send what needs no preflight (CORS):
/// <c>text/plain</c>, or a form with the JSON in its field <c>data</c>. Neither can declare a content coding, so what begins like gzip is
/// gzip, and the field may be Base64 of either.
/// </summary>
internal static class EventBody
{
    /// <summary>The maximum size of a body, in bytes, before and after decoding.</summary>
    public const int Limit = 5 * RequestBody.Limit;

    /// <summary>The maximum size of a body that counts as small, in bytes.</summary>
    public const int Small = 64 * 1024;

    /// <summary>The field of a form that contains the JSON.</summary>
    public const string FormField = "data";

    private const string Form = "application/x-www-form-urlencoded";

    // The usual size of a browser's request, which arrives in one piece.
    private const int FirstPiece = 4 * 1024;

    /// <summary>Reads the body without decoding it, into a pooled buffer that the caller must dispose of.</summary>
    /// <param name="request">The request.</param>
    /// <param name="room">Reserves memory for this many more bytes before they are read; false if there is none.</param>
    /// <param name="ct">Cancels the read.</param>
    /// <param name="limit">The maximum size, in bytes.</param>
    public static async Task<Result<Lent>> Read(
        HttpRequest request,
        Func<int, ValueTask<bool>> room,
        CancellationToken ct,
        int limit = Limit
    )
    {
        if (!(RequestBody.HasType(request, "application/json") || RequestBody.HasType(request, "text/plain") || IsForm(request)))
        {
            return Problem.WrongMediaType;
        }

        if (ContentCoding.Refusal(request) is { } refusal)
        {
            return refusal;
        }

        if (request.ContentLength > limit)
        {
            await RequestBody.Discard(request, ct);
            return Problem.TooLarge;
        }

        var lent = await ReadAll(request.Body, (int)Math.Min(request.ContentLength ?? FirstPiece, FirstPiece), limit, room, ct);
        if (lent.Failure?.Problem == Problem.TooLarge)
        {
            await RequestBody.Discard(request, ct);
        }

        return lent;
    }

    /// <summary>Decodes a body into its JSON. Takes over the buffer, and returns it to the pool unless the JSON is in it.</summary>
    /// <inheritdoc cref="Read"/>
    public static async Task<Result<Lent>> Decode(
        Lent body,
        HttpRequest request,
        Func<int, ValueTask<bool>> room,
        CancellationToken ct,
        int limit = Limit
    )
    {
        Result<Lent> decoded = body;
        if (ContentCoding.IsUsed(request))
        {
            decoded = await Unpack(body, encoded => ContentCoding.Decode(request, encoded), limit, room, ct);
        }

        if (decoded.Failure is null && IsForm(request) && !decoded.Value!.TryKeepField())
        {
            return ProblemResult.Field(FormField, "This is required: a form of events has their JSON in this field.");
        }

        return decoded.Failure is null && ContentCoding.IsGzip(decoded.Value!.Span)
            ? await Unpack(decoded.Value, ContentCoding.Gzip, limit, room, ct)
            : decoded;
    }

    private static async Task<Result<Lent>> Unpack(
        Lent body,
        Func<Stream, Stream> decoder,
        int limit,
        Func<int, ValueTask<bool>> room,
        CancellationToken ct
    )
    {
        using (body)
        {
            await using var stream = decoder(body.AsStream());
            return await ReadAll(stream, FirstPiece, limit, room, ct);
        }
    }

    private static bool IsForm(HttpRequest request) => RequestBody.HasType(request, Form);

    private static async Task<Result<Lent>> ReadAll(
        Stream body,
        int expected,
        int limit,
        Func<int, ValueTask<bool>> room,
        CancellationToken ct
    )
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Clamp(expected, FirstPiece, Limit));
        var length = 0;
        try
        {
            while (await body.ReadAsync(buffer.AsMemory(length), ct) is > 0 and var read)
            {
                length += read;
                if (length > limit)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    return Problem.TooLarge;
                }

                if (length == buffer.Length)
                {
                    var size = length < Small ? Math.Min(4 * length, Small) : Math.Min(4 * length, Limit + 1);
                    if (!await room(size - length))
                    {
                        ArrayPool<byte>.Shared.Return(buffer);
                        return Problem.Unavailable;
                    }

                    var larger = ArrayPool<byte>.Shared.Rent(size);
                    buffer.AsSpan(0, length).CopyTo(larger);
                    ArrayPool<byte>.Shared.Return(buffer);
                    buffer = larger;
                }
            }

            return new Lent(buffer, length);
        }
        catch (Exception exception)
            when (exception
                    is BadHttpRequestException
                        or OperationCanceledException
                        or IOException
                        or InvalidDataException
                        or InvalidOperationException
            )
        {
            ArrayPool<byte>.Shared.Return(buffer);
            return exception switch
            {
                BadHttpRequestException refused => RequestBody.Why(refused),
                OperationCanceledException => Problem.TooSlow,
                // Brotli's decoder reports what it cannot read as an invalid operation.
                InvalidDataException or InvalidOperationException => new ProblemResult(
                    Problem.Malformed,
                    "The body is not what its Content-Encoding says."
                ),
                _ => Problem.Malformed,
            };
        }
    }

    /// <summary>Bytes in a pooled buffer, which is returned on disposal.</summary>
    internal sealed class Lent(byte[] buffer, int length) : IDisposable
    {
        public int Length => length;

        public ReadOnlySpan<byte> Span => Memory.Span;

        public ReadOnlyMemory<byte> Memory => buffer.AsMemory(0, length);

        public Stream AsStream() => new MemoryStream(buffer, 0, length, writable: false);

        /// <summary>
        /// Replaces a form by its decoded <see cref="FormField"/>, which is never longer. Disposes of the buffer if there is none. What
        /// does not begin like JSON is Base64.
        /// </summary>
        public bool TryKeepField()
        {
            foreach (var range in Span.Split((byte)'&'))
            {
                var pair = Span[range];
                if (!pair.StartsWith("data="u8))
                {
                    continue;
                }

                var start = range.Start.GetOffset(length) + "data=".Length;
                var decoded = WebUtility.UrlDecodeToBytes(buffer, start, pair.Length - "data=".Length);
                decoded.CopyTo(buffer, 0);
                length = decoded.Length;
                if (
                    decoded is not [(byte)'{' or (byte)'[', ..]
                    && Base64.DecodeFromUtf8InPlace(buffer.AsSpan(0, length), out var written) == OperationStatus.Done
                )
                {
                    length = written;
                }

                return true;
            }

            Dispose();
            return false;
        }

        public void Dispose() => ArrayPool<byte>.Shared.Return(buffer);
    }
}
