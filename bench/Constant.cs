using System.Buffers;
using System.Globalization;

namespace Experiments.Bench;

/// <summary>The yardstick of serving: Kestrel and a constant JSON of the size that is asked for, and nothing else.</summary>
internal static class Constant
{
    public static async Task Run(string address)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(address);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        await using var app = builder.Build();
        var bodies = new Dictionary<int, byte[]>();
        app.MapMethods(
            "/{size}",
            ["GET", "POST"],
            (HttpContext http) =>
            {
                var size = int.Parse((string)http.GetRouteValue("size")!, CultureInfo.InvariantCulture);
                byte[] body;
                lock (bodies)
                {
                    body = bodies.TryGetValue(size, out var known)
                        ? known
                        : bodies[size] = [(byte)'"', .. Enumerable.Repeat((byte)'x', size - 2), (byte)'"'];
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
