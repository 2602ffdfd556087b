using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Platform.Startup;

/// <summary>Liveness and readiness endpoints.</summary>
internal static class Health
{
    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        var health = app.MapGroup("/health").RequireAuthorization(Policies.Everyone).WithTags("Health");
        health
            .MapGet("/live", () => BufferedResponse.Of(StatusCodes.Status200OK, new HealthState("live", Build.Version)))
            .WithOperation("getLiveness", "Whether the process runs")
            .Returns<HealthState>();
        health
            .MapGet(
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
                    return BufferedResponse.Of(StatusCodes.Status200OK, new HealthState("ready", Build.Version));
                }
            )
            .WithOperation("getReadiness", "Whether requests can be served")
            .Returns<HealthState>()
            .FailsWith(Problem.Unavailable);
    }

    /// <summary>How the service is.</summary>
    /// <param name="Status">In a word.</param>
    /// <param name="Version">The release.</param>
    [Example("""{"status": "ready", "version": "1.0.0"}""")]
    private sealed record HealthState(string Status, string Version);
}
