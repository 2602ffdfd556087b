using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>The flags of one identity whose traits the application sends along (the Flagsmith SDK API).</summary>
internal static class EvaluateIdentity
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var kept = routes.ServiceProvider.GetRequiredService<KeptTraits>();
        routes
            .MapServed(HttpMethods.Post, "/identities", (http, snapshot) => Handle(http, snapshot, kept))
            .WithOperation("postIdentity", "Flags of an identity with traits")
            .HasBody<Body>("""{"identifier": "user-1", "traits": [{"trait_key": "plan", "trait_value": "pro"}]}""")
            .Returns<FlagsmithIdentity>();
    }

    /// <summary>An identity and what the application knows of it. Other members are ignored, and so is whether it is transient.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body(
        [property: JsonConverter(typeof(IdentifierConverter)), Must(MaxLength = 2000)] string? Identifier = null,
        IReadOnlyList<Trait?>? Traits = null,
        bool? Transient = null
    );

    // They are answered as they came.
    private const int MostTraits = 1000;

    private static ProblemResult? TooMany(IReadOnlyList<Trait?>? traits) =>
        traits is { Count: > MostTraits } ? ProblemResult.Field("traits", $"There may be {MostTraits} of these at most.") : null;

    private static async Task Handle(HttpContext http, Snapshot snapshot, KeptTraits kept)
    {
        var body = await JsonBody.Read<Body>(http.Request, required: true);
        if ((body.Failure ?? IdentityResponse.Failure(body.Value!.Identifier) ?? TooMany(body.Value.Traits)) is { } refusal)
        {
            await BufferedResponse.Of(refusal).ExecuteAsync(http);
            return;
        }

        var units = new Units(body.Value!.Identifier is { Length: > 0 } identifier ? identifier : null);
        if (snapshot.UnitKeys.Count > 0)
        {
            foreach (var trait in body.Value.Traits ?? [])
            {
                if (trait is { TraitKey: { } key, TraitValue: { } value } && snapshot.UnitKeys.Contains(key))
                {
                    units.Add(key, value);
                }
            }
        }

        if (snapshot.KeptTraits.Count > 0 && body.Value.Transient != true)
        {
            foreach (var trait in (body.Value.Traits ?? []).Where(trait => trait is { Transient: not true }))
            {
                kept.Offer(snapshot, body.Value.Identifier, trait!.TraitKey, trait.TraitValue);
            }
        }

        IdentityResponse.Write(http, snapshot, units, JsonSerializer.SerializeToUtf8Bytes(body.Value.Traits ?? [], ApiJson.Options));
    }
}
