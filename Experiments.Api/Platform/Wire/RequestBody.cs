using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Wire;

/// <summary>Reads the bytes of a body, once the caller is known to be allowed to send one.</summary>
internal static class RequestBody
{
    /// <summary>What a management call may send. Kestrel enforces it.</summary>
    public const int Limit = 1024 * 1024;

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
            using var buffer = new MemoryStream((int)(request.ContentLength ?? 0));
            await request.Body.CopyToAsync(buffer, ct);
            return buffer.Length == 0 && !required ? None : buffer.ToArray();
        }
        catch (BadHttpRequestException exception)
        {
            return exception.StatusCode switch
            {
                StatusCodes.Status413PayloadTooLarge => Problem.TooLarge,
                StatusCodes.Status408RequestTimeout => Problem.TooSlow,
                _ => Problem.Malformed,
            };
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

    private static bool IsJson(HttpRequest request) =>
        request.Headers.ContentType.Count == 1
        && MediaTypeHeaderValue.TryParse(request.ContentType, out var type)
        && (type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
            || (HttpMethods.IsPatch(request.Method) && type.MediaType.Equals("application/merge-patch+json", StringComparison.OrdinalIgnoreCase)))
        && (!type.Charset.HasValue || HeaderUtilities.RemoveQuotes(type.Charset).Equals("utf-8", StringComparison.OrdinalIgnoreCase))
        && (request.Headers.ContentEncoding.Count == 0 || request.Headers.ContentEncoding is ["identity"]);
}
