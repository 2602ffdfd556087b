using System.Buffers;
using System.IO.Compression;
using Microsoft.AspNetCore.ResponseCompression;

namespace Experiments.Bench;

/// <summary>
/// The yardstick of serving: Kestrel and a constant, which is an answer of the service that stands in a file, compressed for whoever asks
/// for that; and nothing else.
/// </summary>
internal static class Constant
{
    public static async Task Run(string address, string directory)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(address);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        builder.Services.AddResponseCompression(options =>
        {
            options.EnableForHttps = true;
            options.MimeTypes = ["application/json"];
        });
        builder.Services.Configure<GzipCompressionProviderOptions>(options => options.Level = CompressionLevel.Fastest);
        await using var app = builder.Build();
        app.UseResponseCompression();
        var bodies = new Dictionary<string, byte[]>();
        app.MapMethods(
            "/{name}",
            ["GET", "POST"],
            (HttpContext http) =>
            {
                var name = (string)http.GetRouteValue("name")!;
                byte[] body;
                lock (bodies)
                {
                    body = bodies.TryGetValue(name, out var known)
                        ? known
                        : bodies[name] = File.ReadAllBytes(Path.Combine(directory, Path.GetFileName(name)));
                }

                http.Response.ContentType = "application/json; charset=utf-8";
                http.Response.ContentLength = body.Length;
                http.Response.BodyWriter.Write(body);
                return Task.CompletedTask;
            }
        );
        await app.RunAsync();
    }
}
