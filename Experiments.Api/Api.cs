using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Admins;
using Experiments.Api.Slices.ApiKeys;
using Experiments.Api.Slices.Audit;
using Experiments.Api.Slices.Calculators;
using Experiments.Api.Slices.Cohorts;
using Experiments.Api.Slices.Events;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Features;
using Experiments.Api.Slices.Flags;
using Experiments.Api.Slices.Flagsmith;
using Experiments.Api.Slices.GrowthBook;
using Experiments.Api.Slices.Holdouts;
using Experiments.Api.Slices.Identities;
using Experiments.Api.Slices.Me;
using Experiments.Api.Slices.Metrics;
using Experiments.Api.Slices.PostHog;
using Experiments.Api.Slices.Projects;

namespace Experiments.Api;

/// <summary>The table of contents: every route of the API, by group.</summary>
internal static class Api
{
    public static void MapApi(this IEndpointRouteBuilder app)
    {
        var api = app.MapGroup("/api/v1").RequireManagementCors();
        GetMe.Map(api);
        api.MapProjects();
        api.MapCalculators();

        var environment = api.MapGroup("/environments/{environment_key}")
            .RequireAuthorization(Policies.EnvironmentAdmin)
            .RequireFeature(FeatureGate.ExperimentalFlags);
        environment.MapExperiments();
        environment.MapFeatures();
        environment.MapMetrics();
        environment.MapHoldouts();
        environment.MapCohorts();
        environment.MapIdentities();
        ListEventNames.Map(environment);
        environment.MapAdmins("Environment");
        environment.MapApiKeys("Environment");
        ListAudit.Map(environment.MapGroup("").RequireRole(Role.Admin), "Environment");

        app.MapFlagsmith();
        app.MapFlags();
        app.MapPostHog();
        EvaluateGrowthBookFeatures.Map(app);
        SendEvents.Map(app.MapGroup("/v1"));
    }
}
