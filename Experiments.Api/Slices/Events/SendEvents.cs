using System.Text.Json.Serialization;
using Experiments.Api.Evaluation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

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
    internal sealed record Body(
        [property: Must(Required = true, MinItems = 1, MaxItems = EventSizeLimits.Batch)] IReadOnlyList<SentEvent> Events,
        long? SentAt = null
    );

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

    private static Task Handle(HttpContext http, Snapshot snapshot) =>
        EventIntake.Answer(
            http,
            StatusCodes.Status202Accepted,
            (limiter, receiver, now, ct) =>
                limiter.Take(http.Request, snapshot.EnvironmentId, now, batch => receiver.Receive(snapshot.EnvironmentId, batch, ct), ct)
        );
}
