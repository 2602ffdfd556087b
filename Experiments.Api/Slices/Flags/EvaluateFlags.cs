using System.Text.Json.Serialization;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>Every flag for one identity, with an ETag, for clients that keep them (OFREP).</summary>
internal static class EvaluateFlags
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        // Taken here once, so that a request needs no scope of services.
        var streams = routes.ServiceProvider.GetRequiredService<ChangeStreams>();
        routes
            .MapServed(HttpMethods.Post, "/flags", (http, snapshot) => Handle(http, snapshot, streams), Ofrep.Fail, KeySource.Credentials)
            .WithOperation("evaluateFlags", "Evaluate every flag (OpenFeature)")
            .HasBody<EvaluateFlag.Body>("""{"context": {"targetingKey": "user-1"}}""")
            .Returns<Evaluations>()
            .ReturnsNothing(StatusCodes.Status304NotModified)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status400BadRequest)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status401Unauthorized)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status403Forbidden);
    }

    /// <summary>The results of the evaluation.</summary>
    /// <param name="Flags">One result for each flag.</param>
    /// <param name="EventStreams">Where to wait for changes; absent while there is no place for more connections.</param>
    [Example(
        """
            {"flags": [{"key": "button_colour", "value": "green", "reason": "SPLIT", "variant": "green",
                        "metadata": {"experiment_id": 1, "experiment_name": "Green button", "in_experiment": true}}]}
            """
    )]
    internal sealed record Evaluations(
        IReadOnlyList<EvaluateFlag.Evaluation> Flags,
        [property: JsonPropertyName("eventStreams"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
            IReadOnlyList<EventStream>? EventStreams = null
    );

    /// <summary>Where a client is told of changes (server-sent events).</summary>
    /// <param name="Type">Always <c>sse</c>.</param>
    /// <param name="Endpoint">Where the stream is.</param>
    internal sealed record EventStream(string Type, StreamEndpoint Endpoint);

    /// <summary>A place at the origin of the request.</summary>
    /// <param name="RequestUri">The path.</param>
    internal sealed record StreamEndpoint([property: JsonPropertyName("requestUri")] string RequestUri);

    // While there is a place for it, a client is told where it can wait for changes instead of asking again and again.
    private static ReadOnlySpan<byte> End(Snapshot snapshot, ChangeStreams streams) =>
        streams.HasRoom(snapshot.EnvironmentId) ? snapshot.OfrepEnd : "]}"u8;

    private static async Task Handle(HttpContext http, Snapshot snapshot, ChangeStreams streams)
    {
        var (context, error) = await Ofrep.Read(http.Request, snapshot);
        if (context is { } known)
        {
            ServedResponse.WriteFlags(
                http,
                snapshot,
                known.Units,
                "{\"flags\":["u8,
                End(snapshot, streams),
                ServedResponse.Tag(snapshot, known.Hash),
                FlagFormat.Ofrep
            );
        }
        else
        {
            await Ofrep.Fail(http, StatusCodes.Status400BadRequest, null, error!);
        }
    }
}
