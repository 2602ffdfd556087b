using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>
/// Takes traits that older Flagsmith SDKs store, and gives them back. Those that the environment keeps by name are written behind the
/// response; nothing is decided by them.
/// </summary>
internal static class StoreTraits
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var kept = routes.ServiceProvider.GetRequiredService<KeptTraits>();
        routes
            .MapServed(
                HttpMethods.Post,
                "/traits",
                (http, snapshot) => Echo<StoredTrait, StoredTrait>(http, trait => Offered(kept, snapshot, trait))
            )
            .WithOperation("postTrait", "Take a trait, and give it back")
            .HasBody<StoredTrait>("""{"identity": {"identifier": "user-1"}, "trait_key": "plan", "trait_value": "pro"}""")
            .Returns<StoredTrait>()
            .FailsWith(Problem.Malformed, Problem.Invalid);
        routes
            .MapServed(HttpMethods.Put, "/traits/bulk", (http, snapshot) => EchoList(http, trait => Offered(kept, snapshot, trait)))
            .WithOperation("putTraits", "Take traits, and give them back")
            .HasBody<IReadOnlyList<StoredTrait>>("""[{"identity": {"identifier": "user-1"}, "trait_key": "plan", "trait_value": "pro"}]""")
            .Returns<IReadOnlyList<StoredTrait>>()
            .FailsWith(Problem.Malformed, Problem.Invalid);
        routes
            .MapServed(
                HttpMethods.Post,
                "/traits/increment-value",
                (http, snapshot) =>
                    Echo<Increment, StoredTrait>(
                        http,
                        one =>
                        {
                            kept.Offer(snapshot, one.Identifier, one.TraitKey, one.IncrementBy, isAdded: true);
                            return new(new(one.Identifier), one.TraitKey, one.IncrementBy);
                        }
                    )
            )
            .WithOperation("incrementTrait", "Take the increment of a trait, and give it back as its value")
            .HasBody<Increment>("""{"identifier": "user-1", "trait_key": "visits", "increment_by": 1}""")
            .Returns<StoredTrait>()
            .FailsWith(Problem.Malformed, Problem.Invalid);
        routes
            .MapServed(
                HttpMethods.Post,
                "/bulk-identities",
                (http, snapshot) =>
                    Echo<BulkIdentities, BulkIdentities>(
                        http,
                        body =>
                        {
                            foreach (var identity in body.Data ?? [])
                            {
                                foreach (var trait in identity?.Traits ?? [])
                                {
                                    kept.Offer(snapshot, identity!.Identifier, trait?.TraitKey, trait?.TraitValue);
                                }
                            }

                            return body;
                        }
                    )
            )
            .WithOperation("postIdentities", "Take identities with traits, and give them back")
            .HasBody<BulkIdentities>("""{"data": [{"identifier": "user-1", "traits": [{"trait_key": "plan", "trait_value": "pro"}]}]}""")
            .Returns<BulkIdentities>()
            .FailsWith(Problem.Malformed, Problem.Invalid);
    }

    /// <summary>A trait of an identity.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record StoredTrait(
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] TraitOwner? Identity = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TraitKey = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JsonElement? TraitValue = null
    );

    /// <summary>Whose trait it is.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record TraitOwner(
        [property: JsonConverter(typeof(IdentifierConverter)), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
            string? Identifier = null
    );

    /// <summary>By how much a trait grows.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Increment(
        [property: JsonConverter(typeof(IdentifierConverter))] string? Identifier = null,
        string? TraitKey = null,
        JsonElement? IncrementBy = null
    );

    /// <summary>Identities with traits.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record BulkIdentities(
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<IdentityWithTraits?>? Data = null
    );

    /// <summary>An identity with traits.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record IdentityWithTraits(
        [property: JsonConverter(typeof(IdentifierConverter)), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
            string? Identifier = null,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<Trait?>? Traits = null
    );

    private static StoredTrait Offered(KeptTraits kept, Snapshot snapshot, StoredTrait trait)
    {
        kept.Offer(snapshot, trait.Identity?.Identifier, trait.TraitKey, trait.TraitValue);
        return trait;
    }

    // A list, where all other bodies are objects.
    private static async Task EchoList(HttpContext http, Func<StoredTrait, StoredTrait> take)
    {
        var bytes = await RequestBody.Read(http.Request, required: true, http.RequestAborted);
        var body = bytes.Failure is { } unread
            ? unread
            : JsonBody.Read<TraitList>((byte[])[.. "{\"traits\":"u8, .. bytes.Value!, .. "}"u8]);
        await (
            body.Failure is { } refusal
                ? BufferedResponse.Of(refusal).ExecuteAsync(http)
                : BufferedResponse.Of(StatusCodes.Status200OK, (body.Value!.Traits ?? []).Select(take).ToList()).ExecuteAsync(http)
        );
    }

    private sealed record TraitList(IReadOnlyList<StoredTrait>? Traits = null);

    private static async Task Echo<TBody, TAnswer>(HttpContext http, Func<TBody, TAnswer> answer)
        where TBody : class
    {
        var body = await JsonBody.Read<TBody>(http.Request, required: true);
        await (
            body.Failure is { } refusal
                ? BufferedResponse.Of(refusal).ExecuteAsync(http)
                : BufferedResponse.Of(StatusCodes.Status200OK, answer(body.Value!)).ExecuteAsync(http)
        );
    }
}
