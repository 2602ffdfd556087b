using System.Text.Json;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>One flag for one identity (OFREP).</summary>
internal static class EvaluateFlag
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Post, "/flags/{key}", Handle, Ofrep.Fail)
            .WithOperation("evaluateFlag", "Evaluate one flag (OpenFeature)")
            .HasBody<Body>("""{"context": {"targetingKey": "user-1"}}""")
            .Returns<Evaluation>();

    internal sealed record Body(Context Context);

    internal sealed record Context(string TargetingKey);

    /// <summary>The result of the evaluation.</summary>
    [Example(
        """
            {"key": "button_colour", "value": "green", "reason": "SPLIT", "variant": "green",
             "metadata": {"experiment_id": 1, "experiment_name": "Green button", "in_experiment": true}}
            """
    )]
    internal sealed record Evaluation(
        string Key,
        JsonElement? Value,
        string Reason,
        string? Variant,
        IReadOnlyDictionary<string, JsonElement> Metadata
    );

    private static async Task Handle(HttpContext http, Snapshot snapshot)
    {
        var key = (string)http.GetRouteValue("key")!;
        if (snapshot.Flag(key) is not { } flag)
        {
            await Ofrep.Fail(http, StatusCodes.Status404NotFound, key, new("FLAG_NOT_FOUND", "This environment has no flag of this name."));
            return;
        }

        var (context, error) = await Ofrep.Read(http.Request);
        await (
            context is { } known
                ? ServedResponse.Write(http, flag.Ofrep(flag.Evaluate(known.TargetingKey)))
                : Ofrep.Fail(http, StatusCodes.Status400BadRequest, key, error!)
        );
    }
}
