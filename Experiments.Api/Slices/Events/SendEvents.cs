using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Aggregation;
using Experiments.Api.Evaluation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Slices.Events;

/// <summary>Receives exposures and other events. A 202 response means that they are on disk.</summary>
internal static class SendEvents
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Post, "/events", Handle, source: KeySource.Query)
            .WithTags("Events")
            .WithOperation("sendEvents", "Send exposures and other events")
            .HasBody<Body>(
                """
                {"events": [
                    {"event": "$flag_exposure", "feature_name": "button_colour", "identifier": "user-1", "value": "green",
                        "timestamp": 1795348800000},
                    {"event": "purchase", "identifier": "user-1", "value": "12.50", "timestamp": 1795348805000, "id": "order-4711"}]}
                """
            )
            .Returns<EventReceipt>(StatusCodes.Status202Accepted)
            .FailsWith(Problem.TooMuchAtOnce);

    /// <summary>Events, and by what clock they are timestamped.</summary>
    /// <param name="Events">Up to 10,000 events.</param>
    /// <param name="SentAt">When the request was sent by the clock of the sender, in milliseconds since 1970 or as a date and time of ISO
    /// 8601. All timestamps are corrected by how far that clock is off, up to seven days.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body([property: Must(Required = true)] IReadOnlyList<SentEvent> Events, long? SentAt = null);

    /// <summary>Something that happened. Other members are ignored.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record SentEvent(
        [property: Must(Required = true)] string Event,
        [property: Must(Required = true)] long Timestamp,
        string? FeatureName = null,
        string? Identifier = null,
        string? Value = null,
        IReadOnlyDictionary<string, object>? Traits = null,
        IReadOnlyDictionary<string, object>? Metadata = null,
        string? Id = null
    );

    private static async Task Handle(HttpContext http, Snapshot snapshot)
    {
        var services = http.RequestServices;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        deadline.CancelAfter(services.GetRequiredService<IOptions<RequestOptions>>().Value.Deadline);
        var outcome = await services
            .GetRequiredService<IngestionLimiter>()
            .Take(
                http.Request,
                snapshot.EnvironmentId,
                services.GetRequiredService<TimeProvider>().GetUtcNow().UtcDateTime,
                batch => services.GetRequiredService<EventReceiver>().Receive(snapshot.EnvironmentId, batch, deadline.Token),
                deadline.Token
            );
        if (outcome.Failure is { } refusal)
        {
            await BufferedResponse.Of(refusal).ExecuteAsync(http);
            return;
        }

        services.GetRequiredService<AggregationWorker>().Notify();
        await ServedResponse.Write(
            http,
            JsonSerializer.SerializeToUtf8Bytes(outcome.Value!, ApiJson.Options),
            StatusCodes.Status202Accepted
        );
    }
}
