using Experiments.Api;
using Experiments.Api.Platform.Access;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Experiments.Tests.Access;

public class ClosedRoutesTests
{
    // What applications call, each with the environment's key.
    private static readonly string[] Served =
    [
        "/api/v1/flags",
        "/api/v1/identities",
        "/api/v1/web-experiments",
        "/api/v1/analytics/flags",
        "/api/v1/traits",
        "/api/v1/traits/bulk",
        "/api/v1/traits/increment-value",
        "/api/v1/bulk-identities",
        "/ofrep/v1/evaluate/flags",
        "/ofrep/v1/evaluate/flags/{key}",
        "/v1/events",
        "/sse/environments/{key}/stream",
        "/flags",
        "/decide",
        "/batch",
        "/e",
        "/i/v0/e",
        "/capture",
        "/track",
        "/array/{key}/config",
        "/array/{key}/config.js",
        "/api/web_experiments",
        "/api/eval/{key}",
    ];

    // Of the instance.
    private static readonly string[] Instance = ["/api/v1/admins", "/api/v1/api-keys", "/api/v1/audit"];

    private static readonly string[] Open =
    [
        "/health/live",
        "/health/ready",
        "/errors",
        "/openapi/v1.json",
        "/docs/scalar.js",
        "/docs/scalar.aspnetcore.js",
        "/docs/favicon.svg",
        "/docs/{documentName?}",
        "/",
        "/app/settings.json",
        "/app/{**path}",
        "/app/sign-in",
    ];

    [Fact]
    public void Every_route_is_closed_by_the_policy_of_its_place_and_by_the_gate()
    {
        using var app = Service.Build(["--ConnectionStrings:Experiments=Host=/nowhere"]);
        var routes = ((IEndpointRouteBuilder)app).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>().ToList();

        routes.Count.ShouldBeGreaterThan(25);
        foreach (var route in routes)
        {
            var pattern = "/" + route.RoutePattern.RawText!.Trim('/');
            var policies = route.Metadata.OfType<IAuthorizeData>().Select(data => data.Policy).ToList();
            var gates = route.Metadata.OfType<FeatureGate.Required>().Select(gate => gate.Feature).ToList();
            if (pattern.Contains("/api/v1/environments/{environment_key}/", StringComparison.Ordinal))
            {
                policies.ShouldBe([Policies.EnvironmentAdmin], pattern);
                gates.ShouldBe([FeatureGate.ExperimentalFlags], pattern);
            }
            else if (IsVisible(route, pattern) || pattern.StartsWith("/flagsmith/", StringComparison.Ordinal))
            {
                policies.ShouldBe([Policies.AnyCaller], pattern);
            }
            else if (pattern.StartsWith("/api/v1/projects", StringComparison.Ordinal))
            {
                policies.ShouldBe(
                    [pattern.Contains("{id}", StringComparison.Ordinal) ? Policies.ProjectAdmin : Policies.InstanceAdmin],
                    pattern
                );
            }
            else if (Instance.Any(list => pattern.StartsWith(list, StringComparison.Ordinal)))
            {
                policies.ShouldBe([Policies.InstanceAdmin], pattern);
            }
            else if (pattern.StartsWith("/api/v1/analysis/", StringComparison.Ordinal))
            {
                policies.ShouldBe([Policies.AnyCaller], pattern);
                gates.ShouldBe([FeatureGate.ExperimentalFlags], pattern);
            }
            else if (route.Metadata.OfType<EnvironmentKeyRoute>().Any())
            {
                // The key is checked where such a route is mapped, which is also what marks it.
                Served.ShouldContain(pattern);
                policies.ShouldBeEmpty(pattern);
            }
            else
            {
                Open.ShouldContain(pattern);
                policies.ShouldBe([Policies.Everyone], pattern);
            }

            if (!pattern.StartsWith("/docs/", StringComparison.Ordinal))
            {
                route.Metadata.OfType<IAllowAnonymous>().ShouldBeEmpty(pattern);
            }
        }
    }

    // Lists and objects whose statements leave out what the caller has no role in.
    private static bool IsVisible(RouteEndpoint route, string pattern) =>
        route.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods.Contains("GET")
        && pattern
            is "/api/v1/me"
                or "/api/v1/environment-document"
                or "/api/v1/projects"
                or "/api/v1/projects/{id}"
                or "/api/v1/projects/{id}/environments"
                or "/api/v1/projects/{id}/environments/{environment}";

    [Fact]
    public async Task A_route_that_names_no_policy_is_closed_to_strangers()
    {
        using var app = Service.Build(["--ConnectionStrings:Experiments=Host=/nowhere"]);
        var fallback = await app.Services.GetRequiredService<IAuthorizationPolicyProvider>().GetFallbackPolicyAsync();

        fallback.ShouldNotBeNull().Requirements.ShouldHaveSingleItem();
    }
}
