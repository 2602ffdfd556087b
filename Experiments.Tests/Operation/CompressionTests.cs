using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Operation;

/// <summary>Responses are compressed for clients that ask for it, where that gains something.</summary>
public class CompressionTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("gzip")]
    [InlineData("br")]
    public async Task Large_responses_are_compressed_and_small_ones_are_not(string coding)
    {
        var given = await Given.AnEnvironment(service);
        for (var n = 0; n < 8; n++)
        {
            (
                await given.Admin.Post(
                    given.Features,
                    new
                    {
                        name = $"feature-{n}",
                        initial_value = new string('x', 100),
                        enabled = true,
                    }
                )
            ).Must(201);
        }

        await given.Served(flags: 8);
        var plain = await Get(given, "/api/v1/flags/", null);
        var compressed = await Get(given, "/api/v1/flags/", coding);
        var small = await Get(given, "/api/v1/web-experiments/", coding);

        plain.Coding.ShouldBeEmpty();
        compressed.Coding.ShouldBe([coding]);
        compressed.Bytes.Length.ShouldBeLessThan(plain.Bytes.Length / 3);
        JsonNode.DeepEquals(JsonNode.Parse(Decoded(compressed.Bytes, coding)), JsonNode.Parse(plain.Bytes)).ShouldBeTrue();
        small.Coding.ShouldBeEmpty();
        // The management API as well, and the document of the API.
        (await Get(given, "/openapi/v1.json", coding)).Coding.ShouldBe([coding]);
        (await Get(given, given.Features, coding)).Coding.ShouldBe([coding]);
    }

    [Fact]
    public async Task A_compressed_response_has_the_same_tag_and_is_told_apart_by_caches()
    {
        var given = await Given.AnEnvironment(service);
        for (var n = 0; n < 8; n++)
        {
            (await given.Admin.Post(given.Features, new { name = $"feature-{n}", initial_value = new string('x', 100) })).Must(201);
        }

        await given.Served(flags: 8);
        using var client = new HttpClient { BaseAddress = service.Address };
        using var request = Request(given, "/api/v1/flags/", "gzip");
        using var response = await client.SendAsync(request);

        response.Headers.Vary.ShouldContain("Accept-Encoding");
        using var again = Request(given, "/api/v1/flags/", "gzip");
        again.Headers.IfNoneMatch.Add(response.Headers.ETag!);
        using var unchanged = await client.SendAsync(again);
        unchanged.StatusCode.ShouldBe(System.Net.HttpStatusCode.NotModified);
    }

    private static byte[] Decoded(byte[] bytes, string coding)
    {
        using var encoded = new MemoryStream(bytes);
        using Stream decoder =
            coding == "br" ? new BrotliStream(encoded, CompressionMode.Decompress) : new GZipStream(encoded, CompressionMode.Decompress);
        using var decoded = new MemoryStream();
        decoder.CopyTo(decoded);
        return decoded.ToArray();
    }

    private async Task<(byte[] Bytes, string[] Coding)> Get(Given given, string path, string? coding)
    {
        using var client = new HttpClient { BaseAddress = service.Address };
        using var request = Request(given, path, coding);
        using var response = await client.SendAsync(request);
        response.StatusCode.ShouldBe(System.Net.HttpStatusCode.OK, path);
        return (await response.Content.ReadAsByteArrayAsync(), [.. response.Content.Headers.ContentEncoding]);
    }

    private static HttpRequestMessage Request(Given given, string path, string? coding)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, new Uri(path, UriKind.Relative));
        request.Headers.Add("X-Environment-Key", given.Key);
        request.Headers.Authorization = new AuthenticationHeaderValue("Api-Key", TestService.AdminKey);
        if (coding is not null)
        {
            request.Headers.Add("Accept-Encoding", coding);
        }

        return request;
    }
}
