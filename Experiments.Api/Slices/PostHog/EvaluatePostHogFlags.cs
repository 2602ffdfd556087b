using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Experiments.Api.Domain;
using Experiments.Api.Evaluation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.PostHog;

/// <summary>
/// The flags of one identity for PostHog's SDKs. While a page sends <c>$anon_distinct_id</c>, that is what is assigned, so that nobody's
/// variant changes by signing in.
/// </summary>
internal static class EvaluatePostHogFlags
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes
            .MapServedByBody("/flags", Handle)
            .WithOperation("postHogFlags", "Flags of an identity (PostHog SDKs)")
            .HasBody<Body>("""{"token": "KEY", "distinct_id": "user-1"}""")
            .Returns<Response>()
            .FailsWith(Problem.Invalid, Problem.Malformed, Problem.TooLarge, Problem.WrongMediaType);
        // The same for older SDKs, in the form that they read.
        routes
            .MapServedByBody("/decide", Handle)
            .WithOperation("postHogDecide", "The same for older PostHog SDKs, in the form of their version")
            .HasBody<Body>("""{"token": "KEY", "distinct_id": "user-1"}""")
            .Returns<JsonObject>()
            .FailsWith(Problem.Invalid, Problem.Malformed, Problem.TooLarge, Problem.WrongMediaType);
    }

    /// <summary>Who asks. Other members are ignored.</summary>
    /// <param name="Token">The key of the environment, if no header says it; also taken as <c>api_key</c>.</param>
    /// <param name="DistinctId">The identity; without one, flags have their own values.</param>
    /// <param name="AnonDistinctId">The identity before it signed in, as <c>$anon_distinct_id</c>.</param>
    /// <param name="FlagKeysToEvaluate">Only these flags.</param>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body(
        string? Token = null,
        string? DistinctId = null,
        [property: JsonPropertyName("$anon_distinct_id")] string? AnonDistinctId = null,
        IReadOnlyList<string>? FlagKeysToEvaluate = null
    );

    /// <summary>The flags by name.</summary>
    /// <param name="Flags">For each flag, what it is for this identity.</param>
    /// <param name="ErrorsWhileComputingFlags">Whether some are missing: never.</param>
    /// <param name="RequestId">An id of this answer, which SDKs send along with exposures.</param>
    /// <param name="EvaluatedAt">When it was answered, in milliseconds since 1970.</param>
    [Example(
        """
            {"flags": {"button_colour": {"key": "button_colour", "enabled": true, "variant": "green",
                "reason": {"code": "condition_match", "condition_index": 0, "description": "In 'Green button'."},
                "metadata": {"id": 1, "version": 1, "has_experiment": true, "payload": "\"green\""}}},
             "errorsWhileComputingFlags": false, "requestId": "0b6f8e0e-6d3f-4a6e-9a55-0a4a6f2b8c11", "evaluatedAt": 1795348800000}
            """
    )]
    internal sealed record Response(
        IReadOnlyDictionary<string, PostHogFlagView> Flags,
        [property: JsonPropertyName("errorsWhileComputingFlags")] bool ErrorsWhileComputingFlags,
        [property: JsonPropertyName("requestId")] string RequestId,
        [property: JsonPropertyName("evaluatedAt")] long EvaluatedAt
    );

    /// <summary>A flag for this identity.</summary>
    /// <param name="Key">The name of the feature.</param>
    /// <param name="Enabled">Whether the feature is on.</param>
    /// <param name="Variant">The key of the variant; <c>holdout-</c> and the id of the holdout for whoever is held out.</param>
    /// <param name="Reason">Why it is so.</param>
    /// <param name="Metadata">What an SDK passes on.</param>
    internal sealed record PostHogFlagView(string Key, bool Enabled, string? Variant, PostHogReason Reason, PostHogMetadata Metadata);

    /// <summary>Why it is so.</summary>
    /// <param name="Code">The reason, in words of PostHog.</param>
    /// <param name="ConditionIndex">Always 0.</param>
    /// <param name="Description">The same in a sentence.</param>
    internal sealed record PostHogReason(string Code, int ConditionIndex, string Description);

    /// <summary>What an SDK passes on.</summary>
    /// <param name="Id">The id of the feature.</param>
    /// <param name="Version">Always 1.</param>
    /// <param name="HasExperiment">Whether an experiment runs on it.</param>
    /// <param name="Payload">The value that is served, as JSON in a string.</param>
    internal sealed record PostHogMetadata(long Id, int Version, bool HasExperiment, string? Payload);

    private static async Task Handle(HttpContext http, Snapshots snapshots)
    {
        var read = await Read(http, snapshots);
        if (read.Failure is { } refusal)
        {
            await BufferedResponse.Of(refusal).ExecuteAsync(http);
            return;
        }

        var (snapshot, units, among) = (read.Value!.Snapshot, read.Value.Units, read.Value.Flags);
        if (http.Request.Query["v"] is ["2" or "4"])
        {
            var evaluatedAt = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
            var after = string.Create(
                CultureInfo.InvariantCulture,
                $"}},\"errorsWhileComputingFlags\":false,\"requestId\":\"{Guid.NewGuid()}\",\"evaluatedAt\":{evaluatedAt}}}"
            );
            ServedResponse.WriteFlags(
                http,
                snapshot,
                units,
                "{\"flags\":{"u8,
                Encoding.UTF8.GetBytes(after),
                etag: null,
                FlagFormat.PostHog,
                among
            );
        }
        else
        {
            await ServedResponse.Write(http, PostHogDecision.Write(among ?? snapshot.Flags, units));
        }
    }

    private static async Task<Result<Asked>> Read(HttpContext http, Snapshots snapshots)
    {
        // The limit is small, as on other routes of flags, so that nobody has to wait for memory.
        var body = await EventBody.Read(http.Request, static _ => new(true), http.RequestAborted, RequestBody.Limit);
        if (body.Failure is null)
        {
            body = await EventBody.Decode(body.Value!, http.Request, static _ => new(true), http.RequestAborted, RequestBody.Limit);
        }

        if (body.Failure is { } unread)
        {
            return unread;
        }

        using var lent = body.Value!;
        try
        {
            using var document = JsonDocument.Parse(lent.Memory);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return new ProblemResult(Problem.Malformed, "The body must be a JSON object with 'token' and 'distinct_id'.");
            }

            var found = await EnvironmentKey.Find(http, snapshots, Text(root, "token") ?? Text(root, "api_key"));
            if (found.Failure is { } unknown)
            {
                return unknown;
            }

            var identifier = Text(root, "$anon_distinct_id") ?? Text(root, "distinct_id");
            if (identifier is not null && Identity.Fault(identifier) is { } fault)
            {
                return ProblemResult.Field("distinct_id", fault);
            }

            var snapshot = found.Value!;
            var units = new Units(identifier);
            foreach (var known in (string[])["person_properties", "groups"])
            {
                if (root.TryGetProperty(known, out var members))
                {
                    units.AddFrom(members, snapshot);
                }
            }

            return new Asked(snapshot, units, Chosen(root, snapshot));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return new ProblemResult(Problem.Malformed, "The body is not JSON in UTF-8.");
        }
    }

    private static List<CompiledFlag>? Chosen(JsonElement root, Snapshot snapshot) =>
        root.TryGetProperty("flag_keys_to_evaluate", out var keys) && keys.ValueKind == JsonValueKind.Array
            ?
            [
                .. keys.EnumerateArray()
                    .Where(key => key.ValueKind == JsonValueKind.String)
                    .Select(key => snapshot.Flag(key.GetString()!))
                    .OfType<CompiledFlag>()
                    .Distinct(),
            ]
            : null;

    private static string? Text(JsonElement root, string name) => root.TryGetProperty(name, out var found) ? Units.Text(found) : null;

    private sealed record Asked(Snapshot Snapshot, Units Units, IReadOnlyList<CompiledFlag>? Flags);
}
