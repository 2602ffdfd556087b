using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>Every flag for one identity, with an ETag, for clients that keep them (OFREP).</summary>
internal static class EvaluateFlags
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Post, "/flags", Handle, Ofrep.Fail, KeySource.Credentials)
            .WithOperation("evaluateFlags", "Evaluate every flag (OpenFeature)")
            .HasBody<EvaluateFlag.Body>("""{"context": {"targetingKey": "user-1"}}""")
            .Returns<Evaluations>()
            .ReturnsNothing(StatusCodes.Status304NotModified)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status400BadRequest)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status401Unauthorized)
            .Returns<Ofrep.EvaluationFailure>(StatusCodes.Status403Forbidden);

    /// <summary>The results of the evaluation.</summary>
    [Example(
        """
            {"flags": [{"key": "button_colour", "value": "green", "reason": "SPLIT", "variant": "green",
                        "metadata": {"experiment_id": 1, "experiment_name": "Green button", "in_experiment": true}}]}
            """
    )]
    internal sealed record Evaluations(IReadOnlyList<EvaluateFlag.Evaluation> Flags);

    private static async Task Handle(HttpContext http, Snapshot snapshot)
    {
        var (context, error) = await Ofrep.Read(http.Request, snapshot);
        if (context is { } known)
        {
            ServedResponse.WriteFlags(
                http,
                snapshot,
                known.Units,
                "{\"flags\":["u8,
                "]}"u8,
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
