using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>
/// What Flagsmith's SDKs for servers evaluate by themselves. Experiments with the hashing <c>flagsmith</c> are in it, and a rollout is a
/// segment; others cannot be assigned there, so their features have their own values. The key is <c>ser.</c> and an API key of the
/// environment.
/// </summary>
internal static class GetEnvironmentDocument
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapMethods("/environment-document", [HttpMethods.Get], (Delegate)Handle)
            .RequireAuthorization(Policies.AnyCaller)
            .WithMetadata(new CredentialHint("Send an API key of the environment, as 'X-Environment-Key: ser.<secret>'."))
            .WithOperation("getEnvironmentDocument", "What servers evaluate by themselves (Flagsmith SDKs)")
            .Returns<EnvironmentDocument>();

    private static async Task<IResult> Handle(HttpContext http, Db db)
    {
        // A key that opens several environments does not say which one is meant.
        if (Actor.Of(http.User).EnvironmentId is not { } environmentId)
        {
            return BufferedResponse.Of(
                new ProblemResult(
                    Problem.Forbidden,
                    "Send an API key of one environment, as 'X-Environment-Key: ser.<secret>'. This one opens several."
                )
            );
        }

        var rows = await SnapshotReader.Rows(db, environmentId, http.RequestAborted);
        var features = rows.Where(row => row.FeatureId is not null).ToList();
        return BufferedResponse.Of(StatusCodes.Status200OK, EnvironmentDocument.Of(features, environmentId));
    }
}
