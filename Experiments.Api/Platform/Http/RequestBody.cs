using System.Buffers;
using System.IO.Compression;
using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Http;

/// <summary>Reads the bytes of a body, once the caller is known to be allowed to send one.</summary>
internal static class RequestBody
{
    /// <summary>How many bytes a call may send.</summary>
    public const int Limit = 1024 * 1024;

    /// <summary>How many bytes of events a call may send, packed or unpacked.</summary>
    public const int EventsLimit = 5 * Limit;

    /// <summary>
    /// How many bytes are read to the end even if the body is too large, because a client that is still sending does not read the
    /// response. Beyond this, the server closes the connection.
    /// </summary>
    public const int Patience = 8 * Limit;

    /// <summary>The substitute for a missing body.</summary>
    public static readonly byte[] None = "{}"u8.ToArray();

    /// <summary>The bytes; an empty object where nothing was sent to a route that needs nothing.</summary>
    public static async Task<Result<byte[]>> Read(HttpRequest request, bool required, CancellationToken ct)
    {
        var sent = request.ContentLength > 0 || request.Headers.TransferEncoding.Count > 0;
        if (!sent && !required)
        {
            return None;
        }

        if (!IsJson(request))
        {
            return Problem.WrongMediaType;
        }

        // What has waited for its turn until the deadline has not waited for its body.
        ct.ThrowIfCancellationRequested();
        try
        {
            // The buffer grows with the bytes received, not with the declared length.
            using var body = new MemoryStream((int)Math.Min(request.ContentLength ?? 0, FirstPiece));
            var length = await Drain(request.Body, body, ct);
            return length > Limit ? Problem.TooLarge
                : length == 0 && !required ? None
                : body.ToArray();
        }
        catch (BadHttpRequestException exception)
        {
            return Why(exception);
        }
        catch (OperationCanceledException)
        {
            return Problem.TooSlow;
        }
        catch (IOException)
        {
            // Kestrel reports a chunk size beyond 64 bits like this.
            return Problem.Malformed;
        }
    }

    /// <summary>The bytes of events as they came, in a buffer that is only lent: whoever reads them gives it back.</summary>
    /// <param name="request">With the body.</param>
    /// <param name="room">Is asked for so many more bytes before they are taken in, and says whether there is room for them.</param>
    /// <param name="ct">Ends it.</param>
    public static async Task<Result<Lent>> ReadEvents(HttpRequest request, Func<int, ValueTask<bool>> room, CancellationToken ct)
    {
        if (!IsJson(request, IsPacked(request)))
        {
            return Problem.WrongMediaType;
        }

        if (request.ContentLength > EventsLimit)
        {
            await Discard(request, ct);
            return Problem.TooLarge;
        }

        var lent = await ReadAll(request.Body, (int)Math.Min(request.ContentLength ?? FirstPiece, FirstPiece), room, ct);
        if (lent.Failure?.Problem == Problem.TooLarge)
        {
            await Discard(request, ct);
        }

        return lent;
    }

    /// <summary>Whether the body is packed with gzip.</summary>
    public static bool IsPacked(HttpRequest request) =>
        request.Headers.ContentEncoding is [{ } encoding] && encoding.Equals("gzip", StringComparison.OrdinalIgnoreCase);

    /// <summary>Unpacks what was packed, and gives the packed back.</summary>
    public static async Task<Result<Lent>> Unpack(Lent packed, CancellationToken ct)
    {
        using (packed)
        {
            await using var unpacked = new GZipStream(packed.AsStream(), CompressionMode.Decompress);
            return await ReadAll(unpacked, 4 * packed.Length, _ => new(true), ct);
        }
    }

    /// <summary>Up to how many bytes a body of events is a small one.</summary>
    public const int SmallEvents = 64 * 1024;

    // As much as a request of a browser has, which comes in one piece.
    private const int FirstPiece = 4 * 1024;

    private static async Task<Result<Lent>> ReadAll(Stream body, int expected, Func<int, ValueTask<bool>> room, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(Math.Clamp(expected, FirstPiece, EventsLimit));
        var length = 0;
        try
        {
            while (await body.ReadAsync(buffer.AsMemory(length), ct) is > 0 and var read)
            {
                length += read;
                if (length > EventsLimit)
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                    return Problem.TooLarge;
                }

                if (length == buffer.Length)
                {
                    var size = length < SmallEvents ? Math.Min(4 * length, SmallEvents) : Math.Min(4 * length, EventsLimit + 1);
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
            when (exception is BadHttpRequestException or OperationCanceledException or IOException or InvalidDataException)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            return exception switch
            {
                BadHttpRequestException refused => Why(refused),
                OperationCanceledException => Problem.TooSlow,
                InvalidDataException => new ProblemResult(Problem.Malformed, "The body says that it is gzip, and is not."),
                _ => Problem.Malformed,
            };
        }
    }

    /// <summary>Maps an error reported by the server to a problem.</summary>
    public static Problem Why(BadHttpRequestException exception) =>
        exception.StatusCode switch
        {
            StatusCodes.Status413PayloadTooLarge => Problem.TooLarge,
            StatusCodes.Status408RequestTimeout => Problem.TooSlow,
            _ => Problem.Malformed,
        };

    /// <summary>Reads to the end what is too large anyway, if the client has begun to send it.</summary>
    public static async Task Discard(HttpRequest request, CancellationToken ct)
    {
        if (request.ContentLength > Patience || request.Headers.Expect.Count > 0)
        {
            return;
        }

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(TimeSpan.FromSeconds(3));
        try
        {
            await Drain(request.Body, Stream.Null, deadline.Token);
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            // In that case, the client does not get the response.
        }
    }

    // Keeps at most the allowed number of bytes, and returns the total.
    private static async Task<long> Drain(Stream body, Stream kept, CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            var length = 0L;
            while (await body.ReadAsync(buffer, ct) is > 0 and var read)
            {
                length += read;
                if (length <= Limit)
                {
                    await kept.WriteAsync(buffer.AsMemory(0, read), ct);
                }
            }

            return length;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool IsJson(HttpRequest request, bool packed = false) =>
        request.Headers.ContentType.Count == 1
        && MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
        && (
            type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (
                HttpMethods.IsPatch(request.Method)
                && type.MediaType.Equals("application/merge-patch+json", StringComparison.OrdinalIgnoreCase)
            )
        )
        && (!type.Charset.HasValue || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase))
        && (packed || request.Headers.ContentEncoding.Count == 0 || request.Headers.ContentEncoding is ["identity"]);

    /// <summary>Bytes in a pooled buffer, which is returned on disposal.</summary>
    internal sealed class Lent(byte[] buffer, int length) : IDisposable
    {
        public int Length => length;

        public ReadOnlySpan<byte> Span => buffer.AsSpan(0, length);

        public Stream AsStream() => new MemoryStream(buffer, 0, length, writable: false);

        public void Dispose() => ArrayPool<byte>.Shared.Return(buffer);
    }
}
