using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Serving;

/// <summary>The flags of one identity, each with the variant that it is assigned (the Flagsmith SDK API).</summary>
internal static class GetIdentity
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Get, "/identities", Handle)
            .Named("getIdentity", "Flags of an identity")
            .Asks("identifier", "Who it is: 1 to 2000 characters of the application's choice.", "user-1")
            .Answers<FlagsmithIdentity>()
            .Refuses(Problem.Invalid);

    private static Task Handle(HttpContext http, Snapshot snapshot)
    {
        var given = http.Request.Query["identifier"];
        if (IdentityAnswer.Refusal(given.Count == 1 ? given[0] : null) is { } refusal)
        {
            return Answer.Of(refusal).ExecuteAsync(http);
        }

        IdentityAnswer.Write(http, snapshot, given[0]!, "[]"u8);
        return Task.CompletedTask;
    }
}
