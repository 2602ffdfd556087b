using System.IO.Compression;
using Microsoft.AspNetCore.ResponseCompression;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Compresses JSON for clients that ask for it. No response contains a secret beside what its request said, but the keys that are shown
/// when they are made, and those are random; so HTTPS is compressed as well.
/// </summary>
internal static class ResponseCompressionSetup
{
    /// <summary>The smallest response that is compressed, in bytes: what fits into one packet gains nothing.</summary>
    public const int Smallest = 1024;

    public static void AddCompressedResponses(this IServiceCollection services)
    {
        services.AddResponseCompression(options =>
        {
            options.EnableForHttps = true;
            options.MimeTypes = ["application/json", "application/problem+json", "text/csv", "text/plain", "text/html", "text/javascript"];
        });
        // Responses are made for each request, so that time counts for more than the last percent of their size.
        services.Configure<BrotliCompressionProviderOptions>(options => options.Level = CompressionLevel.Fastest);
        services.Configure<GzipCompressionProviderOptions>(options => options.Level = CompressionLevel.Fastest);
        services.AddSingleton<IResponseCompressionProvider, OfLarge>();
    }

    private sealed class OfLarge(IServiceProvider services, IOptions<ResponseCompressionOptions> options)
        : ResponseCompressionProvider(services, options)
    {
        public override bool ShouldCompressResponse(HttpContext context) =>
            context.Response.ContentLength is null or > Smallest && base.ShouldCompressResponse(context);
    }
}
