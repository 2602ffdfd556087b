using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>One flag for one identity (OFREP).</summary>
internal static class EvaluateFlag
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Post, "/flags/{key}", Handle, Ofrep.Fail, KeySource.Credentials)
            .WithOperation("evaluateFlag", "Evaluate one flag (OpenFeature)")
            .HasBody<Body>("""{"context": {"targetingKey": "user-1"}}""")
            .Returns<Evaluation>()
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status400BadRequest)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status401Unauthorized)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status403Forbidden)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status404NotFound);

    /// <summary>What is to be evaluated. Other members are ignored.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body([property: Must(Required = true)] EvaluationContext Context);

    /// <summary>Whom the flag is evaluated for; without a targeting key, for nobody in particular. Other members are ignored.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record EvaluationContext([property: JsonPropertyName("targetingKey")] string? TargetingKey);

    /// <summary>The result of the evaluation.</summary>
    [Example(
        """
            {"key": "button_colour", "value": "green", "reason": "SPLIT", "variant": "green",
             "metadata": {"experiment_id": 1, "experiment_name": "Green button", "in_experiment": true}}
            """
    )]
    internal sealed record Evaluation(
        string Key,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] JsonElement? Value,
        string Reason,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Variant,
        IReadOnlyDictionary<string, JsonElement> Metadata
    );

    private static async Task Handle(HttpContext http, Snapshot snapshot)
    {
        var key = (string)http.GetRouteValue("key")!;
        // The server leaves an encoded slash as it is, which would otherwise be the end of the key.
        if ((snapshot.Flag(key) ?? snapshot.Flag(key.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase))) is not { } flag)
        {
            await Ofrep.Fail(http, StatusCodes.Status404NotFound, key, new("FLAG_NOT_FOUND", "This environment has no flag of this name."));
            return;
        }

        var (context, error) = await Ofrep.Read(http.Request, snapshot);
        await (
            context is { } known
                ? ServedResponse.Write(http, flag.In(FlagFormat.Ofrep, flag.Evaluate(known.Units)))
                : Ofrep.Fail(http, StatusCodes.Status400BadRequest, key, error!)
        );
    }
}
