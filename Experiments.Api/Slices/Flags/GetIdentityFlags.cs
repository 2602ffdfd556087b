using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>The flags of one identity, each with the variant that it is assigned (the Flagsmith SDK API).</summary>
internal static class GetIdentityFlags
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Get, "/identities", Handle)
            .WithOperation("getIdentity", "Flags of an identity")
            .HasQuery("identifier", "Who it is: 1 to 2000 characters of the application's choice.", "user-1")
            .Returns<FlagsmithIdentity>()
            .FailsWith(Problem.Invalid);

    private static Task Handle(HttpContext http, Snapshot snapshot)
    {
        var given = http.Request.Query["identifier"];
        if (IdentityResponse.Failure(given.Count == 1 ? given[0] : null) is { } refusal)
        {
            return BufferedResponse.Of(refusal).ExecuteAsync(http);
        }

        IdentityResponse.Write(http, snapshot, given[0]!, "[]"u8);
        return Task.CompletedTask;
    }
}
