using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Support;

/// <summary>An HTTP client that sends what it is told and shows what came.</summary>
public sealed class Client(Uri address, string? authorization, (string Name, string Value)? always = null)
{
    private static readonly HttpClient Http = new(
        new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(1) }
    )
    {
        Timeout = TimeSpan.FromSeconds(20),
    };

    public Task<Reply> Get(string path, params (string Name, string Value)[] headers) => Send(HttpMethod.Get, path, null, headers);

    public Task<Reply> Delete(string path, params (string Name, string Value)[] headers) => Send(HttpMethod.Delete, path, null, headers);

    /// <summary>The same client, sending this header with everything.</summary>
    public Client With(string name, string value) => new(address, authorization, (name, value));

    /// <summary>Posts an object as JSON, or nothing.</summary>
    public Task<Reply> Post(string path, object? body = null, params (string Name, string Value)[] headers) =>
        Send(HttpMethod.Post, path, Json(body), headers);

    public Task<Reply> Patch(string path, object body, params (string Name, string Value)[] headers) =>
        Send(HttpMethod.Patch, path, Json(body), headers);

    /// <summary>Sends these characters as a JSON body, whatever they are.</summary>
    public Task<Reply> PostText(string path, string body, string contentType = "application/json") =>
        Send(HttpMethod.Post, path, Bytes(Encoding.UTF8.GetBytes(body), contentType));

    public static ByteArrayContent Bytes(byte[] body, string? contentType = "application/json")
    {
        var content = new ByteArrayContent(body);
        if (contentType is not null)
        {
            content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }

        return content;
    }

    public async Task<Reply> Send(HttpMethod method, string path, HttpContent? content, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(address.GetLeftPart(UriPartial.Authority) + path)) { Content = content };
        if (authorization is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        }

        foreach (var (name, value) in always is { } header ? headers.Append(header) : headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        using var response = await Http.SendAsync(request);
        var reply = await Reply.Of(response);
        PublishedContract.Check(method, path, reply);
        return reply;
    }

    private static ByteArrayContent? Json(object? body) =>
        body is null ? null : Bytes(body as byte[] ?? Encoding.UTF8.GetBytes(body as string ?? JsonSerializer.Serialize(body)));
}

/// <summary>What the service answered.</summary>
public sealed record Reply(
    HttpStatusCode Status,
    JsonNode? Json,
    string Text,
    HttpResponseHeaders Headers,
    HttpContentHeaders ContentHeaders
)
{
    public int Code => (int)Status;

    public string? Problem => (Json as JsonObject)?["code"] is JsonValue code ? code.ToString() : null;

    public long Id => Json!["id"]!.GetValue<long>();

    public string? ETag => Headers.ETag?.ToString();

    public JsonNode this[string member] => Json![member] ?? throw new InvalidOperationException($"No '{member}' in {Text}");

    /// <summary>The fields that a problem names.</summary>
    public IReadOnlyList<string> Fields => Json?["errors"] is JsonObject errors ? [.. errors.Select(error => error.Key)] : [];

    public override string ToString() => $"{Code} {Text}";

    public static async Task<Reply> Of(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync();
        var isJson = response.Content.Headers.ContentType?.MediaType is "application/json" or "application/problem+json";
        return new(
            response.StatusCode,
            isJson && text.Length > 0 ? JsonNode.Parse(text, documentOptions: new JsonDocumentOptions { MaxDepth = 256 }) : null,
            text,
            response.Headers,
            response.Content.Headers
        );
    }

    /// <summary>Fails unless this is the status, and shows the whole answer when it is not.</summary>
    public Reply Must(int status)
    {
        Code.ShouldBe(status, Text);
        return this;
    }

    /// <summary>Fails unless this is a complete problem of this status and code.</summary>
    public Reply MustBe(int status, string code)
    {
        Must(status);
        ContentHeaders.ContentType!.MediaType.ShouldBe("application/problem+json");
        Problem.ShouldBe(code, Text);
        Json!["status"]!.GetValue<int>().ShouldBe(status);
        Json["type"]!.GetValue<string>().ShouldBe($"/errors#{code}");
        Json["title"]!.GetValue<string>().ShouldNotBeEmpty();
        Json["detail"]!.GetValue<string>().ShouldNotBeEmpty();
        Json["trace_id"]!.GetValue<string>().Length.ShouldBe(32);
        return this;
    }

    /// <summary>Fails unless this is a 400 that names exactly these fields.</summary>
    public Reply MustName(params string[] fields)
    {
        MustBe(400, "request.invalid");
        Fields.ShouldBe(fields, ignoreOrder: true, Text);
        return this;
    }
}
