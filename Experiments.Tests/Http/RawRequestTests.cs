using System.Net.Sockets;
using System.Text;

namespace Experiments.Tests.Http;

/// <summary>What no well-behaved client sends.</summary>
public class RawRequestTests(TestService service) : IClassFixture<TestService>
{
    [Fact]
    public async Task A_chunk_size_beyond_64_bits_is_malformed()
    {
        var given = await Given.AnEnvironment(service);

        var answer = await Send(
            $"POST {given.Features} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Api-Key {TestService.AdminKey}\r\nContent-Type: "
                + "application/json\r\n"
                + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n"
        );

        answer.ShouldStartWith("HTTP/1.1 400");
        answer.ShouldContain("request.malformed");
    }

    [Fact]
    public async Task A_stranger_who_waits_to_be_asked_for_the_body_is_answered_at_once()
    {
        var answer = await Send(
            "POST /api/v1/projects/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: "
                + "100-continue\r\nConnection: close\r\n\r\n"
        );

        answer.ShouldStartWith("HTTP/1.1 401");
        answer.ShouldContain("credential.missing");
    }

    [Fact]
    public async Task A_body_that_does_not_come_is_408()
    {
        var given = await Given.AnEnvironment(service);

        var answer = await Send(
            $"POST {given.Features} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Api-Key {TestService.AdminKey}\r\nContent-Type: "
                + "application/json\r\n"
                + "Content-Length: 100\r\nConnection: close\r\n\r\n{"
        );

        answer.ShouldStartWith("HTTP/1.1 408");
        answer.ShouldContain("request.too_slow");
    }

    [Theory]
    [InlineData("GET /api/v1/projects/%00 HTTP/1.1\r\nHost: a")]
    [InlineData("GET /api/v1/projects/ HTTP/1.1\r\nHost: a\r\nHost: b")]
    [InlineData("GET /api/v1/projects/ HTTP/1.1\r\nHost: a\r\nBad header")]
    [InlineData("GET /api/v1/projects/ HTTP/9.9\r\nHost: a")]
    [InlineData("NONSENSE")]
    public async Task What_is_not_http_is_a_4xx_or_5xx_of_the_server_and_harms_nobody(string request)
    {
        var answer = await Send(request + "\r\nConnection: close\r\n\r\n");

        answer.ShouldMatch("^HTTP/1.1 (400|505)");
        (await service.Admin.Get("/api/v1/projects/")).Must(200);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a:99999")]
    [InlineData("..")]
    public async Task A_host_that_is_none_is_malformed(string host)
    {
        var answer = await Send(
            $"GET /api/v1/projects/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: Api-Key {TestService.AdminKey}\r\nConnection: close\r\n\r\n"
        );

        answer.ShouldStartWith("HTTP/1.1 400");
    }

    private async Task<string> Send(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(service.Address.Host, service.Address.Port);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request));
        var answer = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            while (await stream.ReadAsync(buffer).AsTask().WaitAsync(TimeSpan.FromSeconds(10)) is > 0 and var read)
            {
                answer.Append(Encoding.UTF8.GetString(buffer, 0, read));
            }
        }
        catch (IOException)
        {
            // The server has nothing more to say to a client that still owes it a body.
        }

        return answer.ToString();
    }
}
