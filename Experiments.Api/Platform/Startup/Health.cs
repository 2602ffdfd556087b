using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Platform.Startup;

/// <summary>Liveness and readiness endpoints.</summary>
internal static class Health
{
    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        var health = app.MapGroup("/health").RequireAuthorization(Policies.Everyone).ExcludeFromDescription();
        health.MapGet("/live", () => BufferedResponse.Of(StatusCodes.Status200OK, new State("live", Build.Version)));
        health.MapGet(
            "/ready",
            async (Readiness readiness, IEnumerable<IReadinessCheck> checks, DatabaseProbe database, CancellationToken ct) =>
            {
                if (readiness.IsDraining || !readiness.HasSchema)
                {
                    return BufferedResponse.Of(Problem.Unavailable);
                }

                if (checks.Select(check => check.Problem).FirstOrDefault(problem => problem is not null) is { } problem)
                {
                    return BufferedResponse.Of(new ProblemResult(Problem.Unavailable, problem));
                }

                await database.Check(ct);
                return BufferedResponse.Of(StatusCodes.Status200OK, new State("ready", Build.Version));
            }
        );
    }

    private sealed record State(string Status, string Version);
}
