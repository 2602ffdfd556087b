using System.Buffers;
using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Wire;

/// <summary>Reads the bytes of a body, once the caller is known to be allowed to send one.</summary>
internal static class RequestBody
{
    /// <summary>How many bytes a management call may send.</summary>
    public const int Limit = 1024 * 1024;

    /// <summary>
    /// How many are read to the end nevertheless, because a client that is still sending does not hear that it is too much.
    /// At more than these the server hangs up.
    /// </summary>
    public const int Patience = 8 * Limit;

    /// <summary>What stands for a body that is not there.</summary>
    public static readonly byte[] None = "{}"u8.ToArray();

    /// <summary>The bytes; an empty object where nothing was sent to a route that needs nothing.</summary>
    public static async Task<Outcome<byte[]>> Read(HttpRequest request, bool required, CancellationToken ct)
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

        try
        {
            using var body = new MemoryStream((int)(request.ContentLength ?? 0));
            var length = await Drain(request.Body, body, ct);
            return length > Limit ? Problem.TooLarge : length == 0 && !required ? None : body.ToArray();
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
            // A chunk size beyond 64 bits comes out of Kestrel like this.
            return Problem.Malformed;
        }
    }

    /// <summary>What the server found wrong with a request.</summary>
    public static Problem Why(BadHttpRequestException exception) => exception.StatusCode switch
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
            // Then it will not hear.
        }
    }

    // Keeps no more than is allowed, and returns how much there was.
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

    private static bool IsJson(HttpRequest request) =>
        request.Headers.ContentType.Count == 1
        && MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
        && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (HttpMethods.IsPatch(request.Method) && type.MediaType.Equals("application/merge-patch+json", StringComparison.OrdinalIgnoreCase)))
        && (!type.Charset.HasValue || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase))
        && (request.Headers.ContentEncoding.Count == 0 || request.Headers.ContentEncoding is ["identity"]);
}
