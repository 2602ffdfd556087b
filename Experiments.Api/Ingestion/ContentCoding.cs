using System.IO.Compression;
using Experiments.Api.Platform;
using Microsoft.Extensions.Primitives;

namespace Experiments.Api.Ingestion;

/// <summary>The content codings (RFC 9110, 8.4.1) in which events may be sent.</summary>
internal static class ContentCoding
{
    /// <summary>The supported codings, which a 415 response names in <c>Accept-Encoding</c> (RFC 9110, 15.5.16).</summary>
    public const string Accepted = "gzip, br, deflate";

    /// <summary>Whether the body is encoded, in a supported coding or not.</summary>
    public static bool IsUsed(HttpRequest request) => NameOf(request.Headers.ContentEncoding) is not null;

    /// <summary>The refusal of a body in an unsupported coding; null for any other body.</summary>
    public static ProblemResult? Refusal(HttpRequest request)
    {
        if (NameOf(request.Headers.ContentEncoding) is not { } name || Decoder(name) is not null)
        {
            return null;
        }

        request.HttpContext.Response.Headers.AcceptEncoding = Accepted;
        var shown = name.Length <= 20 ? name : name[..20] + "…";
        return new(Problem.WrongMediaType, $"Content-Encoding '{shown}' is not supported. Use one of {Accepted}, or none.");
    }

    /// <summary>Decodes a body in a supported coding.</summary>
    public static Stream Decode(HttpRequest request, Stream encoded) => Decoder(NameOf(request.Headers.ContentEncoding)!)!(encoded);

    /// <summary>Whether bytes begin as gzip does (RFC 1952, 2.3.1), and JSON cannot.</summary>
    public static bool IsGzip(ReadOnlySpan<byte> bytes) => bytes.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]);

    public static Stream Gzip(Stream encoded) => new GZipStream(encoded, CompressionMode.Decompress);

    private static string? NameOf(StringValues header) =>
        header.ToString() is { Length: > 0 } name && !name.Equals("identity", StringComparison.OrdinalIgnoreCase) ? name : null;

    private static Func<Stream, Stream>? Decoder(string name) =>
        name.ToLowerInvariant() switch
        {
            "gzip" or "x-gzip" => Gzip,
            "br" => static encoded => new BrotliStream(encoded, CompressionMode.Decompress),
            "deflate" => static encoded => new ZLibStream(encoded, CompressionMode.Decompress),
            _ => null,
        };
}
