using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Experiments.Api.Demo;

/// <summary>Speaks to the service as anybody would: over HTTP.</summary>
internal sealed class DemoClient(Uri address, string key) : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = address, Timeout = TimeSpan.FromSeconds(30) };

    public Task<JsonNode> Get(string path, CancellationToken ct) => Send(HttpMethod.Get, path, null, null, ct);

    public Task<JsonNode> Post(string path, object? body, CancellationToken ct) => Send(HttpMethod.Post, path, body, null, ct);

    public Task<JsonNode> Patch(string path, object body, CancellationToken ct) => Send(HttpMethod.Patch, path, body, null, ct);

    public Task<JsonNode> Delete(string path, CancellationToken ct) => Send(HttpMethod.Delete, path, null, null, ct);

    /// <summary>The variant that a visitor is served.</summary>
    public async Task<string?> Variant(string environment, string feature, string identifier, CancellationToken ct) =>
        (
            await Send(
                HttpMethod.Post,
                $"/ofrep/v1/evaluate/flags/{feature}",
                new { context = new { targetingKey = identifier } },
                environment,
                ct
            )
        )["variant"]
            ?.GetValue<string>();

    public Task SendEvents(string environment, IReadOnlyList<object> events, CancellationToken ct) =>
        Send(HttpMethod.Post, "/v1/events", new { events }, environment, ct);

    public void Dispose() => _http.Dispose();

    // Whoever is told to come later does.
    private async Task<JsonNode> Send(HttpMethod method, string path, object? body, string? environment, CancellationToken ct)
    {
        for (; ; )
        {
            using var request = new HttpRequestMessage(method, path);
            if (environment is null)
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Api-Key", key);
            }
            else
            {
                request.Headers.Add("X-Environment-Key", environment);
            }

            request.Content = body is null ? null : JsonContent.Create(body, options: JsonSerializerOptions.Web);
            using var response = await _http.SendAsync(request, ct);
            var text = await response.Content.ReadAsStringAsync(ct);
            if (response.IsSuccessStatusCode)
            {
                return text.Length == 0 ? new JsonObject() : JsonNode.Parse(text)!;
            }

            if (response.StatusCode is not (HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable))
            {
                throw new InvalidOperationException($"{method} {path} answered {(int)response.StatusCode}: {text}");
            }

            await Task.Delay(response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1), ct);
        }
    }
}
