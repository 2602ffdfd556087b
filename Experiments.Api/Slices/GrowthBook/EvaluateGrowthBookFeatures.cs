using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.GrowthBook;

/// <summary>
/// The features of one identity for GrowthBook's SDKs (remote evaluation). They hash in a way of their own, so what they are answered is
/// decided here and forced there.
/// </summary>
internal static class EvaluateGrowthBookFeatures
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Post, "/api/eval/{key}", Handle, source: KeySource.Path)
            .WithTags("GrowthBook SDKs")
            .WithOperation("growthBookEval", "Features of an identity (GrowthBook SDKs)")
            .HasBody<Body>("""{"attributes": {"id": "user-1"}}""")
            .Returns<Response>()
            .FailsWith(Problem.Invalid, Problem.Malformed, Problem.TooLarge, Problem.WrongMediaType);

    /// <summary>Who asks. Other members are ignored.</summary>
    /// <param name="Attributes">What is known of the identity: <c>id</c> is its identifier.</param>
    /// <param name="ForcedVariations">By the key of an experiment, which is the name of its feature, the index of the variant to show.
    /// Nothing is tracked of it.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body(
        JsonElement? Attributes = null,
        [property: JsonPropertyName("forcedVariations")] JsonElement? ForcedVariations = null
    );

    /// <summary>The features by name.</summary>
    /// <param name="Features">For each feature, its value, and what to track.</param>
    [Example(
        """
            {"features": {"button_colour": {"defaultValue": "green", "rules": [{"id": "experiment-1", "force": "green", "tracks": [
                {"experiment": {"key": "button_colour", "name": "Green button", "id": 1, "variations": ["control", "green"]},
                 "result": {"inExperiment": true, "hashUsed": true, "variationId": 1, "key": "green", "value": "green",
                     "hashAttribute": "id", "hashValue": "user-1", "featureId": "button_colour"}}]}]}}}
            """
    )]
    internal sealed record Response(IReadOnlyDictionary<string, GrowthBookFeature> Features);

    /// <summary>A feature for this identity.</summary>
    /// <param name="DefaultValue">The value that is served; null leaves the application its default.</param>
    /// <param name="Rules">The value once more, with what to track, for whoever takes part in an experiment.</param>
    internal sealed record GrowthBookFeature(
        [property: JsonPropertyName("defaultValue")] JsonElement? DefaultValue,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<JsonElement>? Rules = null
    );

    private static async Task Handle(HttpContext http, Snapshot snapshot)
    {
        var body = await JsonBody.Read<Body>(http.Request, required: true);
        var attributes = body.Value?.Attributes ?? default;
        var identifier =
            attributes.ValueKind == JsonValueKind.Object && attributes.TryGetProperty("id", out var id) ? Units.Text(id) : null;
        if ((body.Failure ?? Failure(identifier)) is { } refusal)
        {
            await BufferedResponse.Of(refusal).ExecuteAsync(http);
            return;
        }

        var units = new Units(identifier);
        units.AddFrom(attributes, snapshot);
        await ServedResponse.Write(http, Features(snapshot, units, Forced(body.Value?.ForcedVariations)));
    }

    private static ProblemResult? Failure(string? identifier) =>
        identifier is not null && Identity.Fault(identifier) is { } fault ? ProblemResult.Field("attributes.id", fault) : null;

    // What is no index is ignored, as the SDK ignores it.
    private static Dictionary<string, int> Forced(JsonElement? variations) =>
        variations is not { ValueKind: JsonValueKind.Object } given
            ? []
            : given
                .EnumerateObject()
                .Where(one => one.Value.ValueKind == JsonValueKind.Number && one.Value.TryGetInt32(out _))
                .DistinctBy(one => one.Name)
                .ToDictionary(one => one.Name, one => one.Value.GetInt32());

    private static ReadOnlyMemory<byte> Features(Snapshot snapshot, in Units units, Dictionary<string, int> forced)
    {
        var answer = new ArrayBufferWriter<byte>(256 * (1 + snapshot.Flags.Count));
        answer.Write("{\"features\":{"u8);
        var outcomes = new int[snapshot.Flags.Count];
        snapshot.Batch.Evaluate(units, outcomes);
        for (var i = 0; i < snapshot.Flags.Count; i++)
        {
            var flag = snapshot.Flags[i];
            var feature = (
                forced.TryGetValue(flag.Name, out var index) && flag.OutcomeOf(index) is { } shown
                    ? flag.In(FlagFormat.GrowthBookPreview, shown)
                    : flag.In(FlagFormat.GrowthBook, outcomes[i])
            ).Span;
            answer.Write(i > 0 ? ","u8 : ""u8);
            // The track says whom it is of.
            if (feature.IndexOf(GrowthBookFormat.Identity) is >= 0 and var place)
            {
                answer.Write(feature[..place]);
                answer.Write(JsonSerializer.SerializeToUtf8Bytes(units.Of(flag.UnitKey), ApiJson.Options));
                feature = feature[(place + 1)..];
            }

            answer.Write(feature);
        }

        answer.Write("}}"u8);
        return answer.WrittenMemory;
    }
}
