using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>Every flag of the environment with its own value, for nobody in particular (the Flagsmith SDK API).</summary>
internal static class GetFlags
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Get, "/flags", Handle)
            .WithOperation("getFlags", "All flags, without an identity")
            .Returns<IReadOnlyList<FlagsmithFlag>>();

    private static Task Handle(HttpContext http, Snapshot snapshot)
    {
        ServedResponse.WriteFlags(
            http,
            snapshot,
            Units.None,
            "["u8,
            "]"u8,
            ServedResponse.Tag(snapshot, identifier: null),
            FlagFormat.Flagsmith
        );
        return Task.CompletedTask;
    }
}
