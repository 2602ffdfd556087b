using System.Buffers;
using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Http;

/// <summary>Reads the bytes of a body, once the caller is known to be allowed to send one.</summary>
internal static class RequestBody
{
    /// <summary>How many bytes a call may send.</summary>
    public const int Limit = 1024 * 1024;

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
            using var body = new MemoryStream((int)Math.Min(request.ContentLength ?? 0, 4 * 1024));
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

    // A PATCH is a JSON merge patch (RFC 7396), and may say so.
    private static bool IsJson(HttpRequest request) =>
        (HasType(request, "application/json") || (HttpMethods.IsPatch(request.Method) && HasType(request, "application/merge-patch+json")))
        && (request.Headers.ContentEncoding.Count == 0 || request.Headers.ContentEncoding is ["identity"]);

    /// <summary>Whether the body is declared as this media type, in UTF-8.</summary>
    public static bool HasType(HttpRequest request, string mediaType) =>
        request.Headers.ContentType.Count == 1
        && MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
        && type.MediaType.Equals(mediaType, StringComparison.OrdinalIgnoreCase)
        && (!type.Charset.HasValue || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase));
}
