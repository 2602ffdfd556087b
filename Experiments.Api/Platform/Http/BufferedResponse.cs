using System.Diagnostics;
using System.IO.Hashing;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.WebUtilities;

namespace Experiments.Api.Platform.Http;

/// <summary>A complete response, ready to be sent, or to be stored and replayed.</summary>
internal sealed record BufferedResponse(int Status, ReadOnlyMemory<byte> Body) : IResult
{
    public string ContentType { get; init; } = "application/json; charset=utf-8";

    public string? ETag { get; init; }

    public string? Location { get; init; }

    public int? RetryAfter { get; init; }

    /// <summary>Whether this replays the response to an earlier request with the same Idempotency-Key.</summary>
    public bool Replayed { get; init; }

    /// <summary>A representation. Its ETag is its own, or else a hash of its bytes.</summary>
    public static BufferedResponse Of<T>(int status, T value)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(value, ApiJson.Options);
        return new(status, body) { ETag = value is ITagged tagged ? tagged.ETag : Tag(body) };
    }

    /// <summary>A representation that is already serialised as JSON.</summary>
    public static BufferedResponse OfBytes(int status, byte[] body) => new(status, body) { ETag = Tag(body) };

    public static BufferedResponse Empty(int status) => new(status, default);

    /// <summary>An error as problem details (RFC 9457).</summary>
    public static BufferedResponse Of(ProblemResult refusal)
    {
        var problem = refusal.Problem;
        var traceId = Activity.Current?.TraceId.ToHexString() ?? ActivityTraceId.CreateRandom().ToHexString();
        return new(problem.Status, Details(refusal, traceId))
        {
            ContentType = "application/problem+json",
            RetryAfter =
                refusal.RetryAfter
                ?? (problem.Status is StatusCodes.Status503ServiceUnavailable or StatusCodes.Status429TooManyRequests ? 1 : null),
        };
    }

    /// <summary>The body of such a refusal, for the documentation.</summary>
    public static byte[] Example(Problem problem) =>
        Details(
            problem == Problem.Invalid ? ProblemResult.Field("name", "This is required and may not be blank.") : problem,
            "4bf92f3577b34da6a3ce929d0e0e4736"
        );

    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        var headers = response.Headers;
        // What answers a change is for its caller alone, and may be a secret.
        headers.CacheControl = Status < 400 && HttpMethods.IsGet(httpContext.Request.Method) ? "private, no-cache" : "no-store";
        headers.ETag = ETag;
        headers.Location = Location;
        headers.RetryAfter = RetryAfter is { } seconds ? seconds.ToString(System.Globalization.CultureInfo.InvariantCulture) : default;
        if (Replayed)
        {
            headers["Idempotent-Replayed"] = "true";
        }

        if (
            ETag is not null
            && HttpMethods.IsGet(httpContext.Request.Method)
            && Preconditions.IsKnown(httpContext.Request.Headers.IfNoneMatch, ETag)
        )
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.StatusCode = Status;
        if (!Body.IsEmpty)
        {
            response.ContentType = ContentType;
            response.ContentLength = Body.Length;
            // Without the request's token, which the deadline may have cancelled already.
            await response.BodyWriter.WriteAsync(Body, CancellationToken.None);
        }
    }

    private static string Tag(byte[] body) => $"\"{XxHash128.HashToUInt128(body):x32}\"";

    private static byte[] Details(ProblemResult refusal, string traceId)
    {
        var problem = refusal.Problem;
        return JsonSerializer.SerializeToUtf8Bytes(
            new ProblemDetails(
                ErrorCatalogue.TypeOf(problem),
                ReasonPhrases.GetReasonPhrase(problem.Status),
                problem.Status,
                refusal.Detail,
                problem.Code,
                traceId,
                refusal.Errors
            ),
            ApiJson.Options
        );
    }

    private sealed record ProblemDetails(
        string Type,
        string Title,
        int Status,
        string Detail,
        string Code,
        string TraceId,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyDictionary<string, string[]>? Errors
    );
}

/// <summary>A representation that knows its version.</summary>
internal interface ITagged
{
    string ETag { get; }
}

/// <summary>A representation that has an address of its own below the collection it was created in, where it can be read.</summary>
internal interface IIdentified
{
    long Id { get; }
}

/// <summary>What may be created in another environment than that of the request.</summary>
internal interface ICreatedIn
{
    /// <summary>The key of the environment.</summary>
    string? EnvironmentKey { get; }
}
