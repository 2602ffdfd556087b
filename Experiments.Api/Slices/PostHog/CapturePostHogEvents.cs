using System.Text.Json.Serialization;
using Experiments.Api.Evaluation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.PostHog;

/// <summary>Receives what PostHog's SDKs capture. A 200 response means that it is on disk.</summary>
internal static class CapturePostHogEvents
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        Map("/batch", "postHogBatch", "Send exposures and other events (PostHog SDKs)");
        // Each SDK, and each of its versions, has an address of its own for the same.
        Map("/e", "postHogE", "The same (posthog-js)");
        Map("/i/v0/e", "postHogIngest", "The same (later posthog-js)");
        Map("/capture", "postHogCapture", "The same (one event)");
        Map("/track", "postHogTrack", "The same (early SDKs)");

        void Map(string path, string operation, string summary) =>
            routes
                .MapServedByBody(path, Handle)
                .WithOperation(operation, summary)
                .HasBody<Body>(
                    """{"api_key": "KEY", "batch": [{"event": "purchase", "distinct_id": "user-1", "properties": {"value": 12.5}}]}"""
                )
                .Returns<Captured>()
                .FailsWith(Problem.Invalid, Problem.Malformed, Problem.TooLarge, Problem.TooMuchAtOnce, Problem.WrongMediaType);
    }

    /// <summary>Events, or one event on its own. Other members are ignored.</summary>
    /// <param name="Batch">Up to 10,000 events.</param>
    /// <param name="ApiKey">The key of the environment, if no header says it; also taken as <c>token</c>.</param>
    /// <param name="SentAt">When the request was sent by the clock of the sender, which corrects all timestamps.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body(
        [property: Must(Required = true, MinItems = 1, MaxItems = EventSizeLimits.Batch)] IReadOnlyList<CapturedEvent> Batch,
        string? ApiKey = null,
        DateTimeOffset? SentAt = null
    );

    /// <summary>Something that happened, as PostHog's SDKs say it. Other members are ignored.</summary>
    /// <param name="Event">Its name. <c>$feature_flag_called</c> with a variant is an exposure.</param>
    /// <param name="DistinctId">Who did it.</param>
    /// <param name="Timestamp">When it happened, by the clock of the sender; by default when it arrives.</param>
    /// <param name="Uuid">Its id: an event counts once for each.</param>
    /// <param name="Properties">What else is known. <c>value</c> is the value of metrics, and the others are its metadata.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record CapturedEvent(
        [property: Must(Required = true)] string Event,
        string? DistinctId = null,
        DateTimeOffset? Timestamp = null,
        string? Uuid = null,
        IReadOnlyDictionary<string, object>? Properties = null
    );

    /// <summary>What became of the events; their errors name them as <c>POST /v1/events</c> would.</summary>
    /// <param name="Status">Always <c>Ok</c>.</param>
    /// <param name="Accepted">How many events were valid.</param>
    /// <param name="Duplicates">How many of those had been stored before; null where the store finds that out later.</param>
    /// <param name="RejectedCount">How many events were rejected.</param>
    /// <param name="Rejected">What is wrong with the first hundred of them.</param>
    [Example("""{"status": "Ok", "accepted": 1, "duplicates": 0, "rejected_count": 0, "rejected": []}""")]
    internal sealed record Captured(
        string Status,
        int Accepted,
        int? Duplicates,
        int RejectedCount,
        IReadOnlyList<EventBatch.Rejection> Rejected
    );

    private static Task Handle(HttpContext http, Snapshots snapshots) =>
        EventIntake.Answer(
            http,
            StatusCodes.Status200OK,
            (limiter, receiver, now, ct) =>
                limiter.Take(
                    http.Request,
                    IngestionLimiter.Sender.Unknown,
                    body => Identify(http, snapshots, body),
                    (body, sender) => Receive(receiver, body, sender.EnvironmentId, now, ct),
                    ct
                )
        );

    private static async ValueTask<Result<IngestionLimiter.Sender>> Identify(HttpContext http, Snapshots snapshots, EventBody.Lent body)
    {
        var key =
            PostHogBatch.KeyIn(body.Span, inEvents: false)
            ?? EnvironmentKey.OutsideOfBody(http.Request)
            ?? PostHogBatch.KeyIn(body.Span, inEvents: true);
        var found = await EnvironmentKey.Find(http, snapshots, key);
        return found.Failure is { } unknown ? unknown : new IngestionLimiter.Sender(found.Value!.EnvironmentId);
    }

    private static async Task<Result<Captured>> Receive(
        EventReceiver receiver,
        EventBody.Lent body,
        long environmentId,
        DateTime now,
        CancellationToken ct
    )
    {
        var translated = PostHogBatch.Translate(body.Memory, now);
        if (translated.Failure is { } malformed)
        {
            return malformed;
        }

        var batch = EventBatchParser.Read(translated.Value, environmentId, now);
        if (batch.Failure is { } invalid)
        {
            return invalid;
        }

        var receipt = await receiver.Receive(environmentId, batch.Value!, ct);
        return new Captured("Ok", receipt.Accepted, receipt.Duplicates, receipt.RejectedCount, receipt.Rejected);
    }
}
