using Experiments.Api.Platform.Access;
using Experiments.Api.Slices.Admins;
using Experiments.Api.Slices.ApiKeys;
using Experiments.Api.Slices.Audit;
using Experiments.Api.Slices.Features;
using Experiments.Api.Slices.WarehouseConnections;

namespace Experiments.Api.Slices.Projects;

internal static class ProjectRoutes
{
    public static void MapProjects(this RouteGroupBuilder api)
    {
        var instance = api.MapGroup("").RequireAuthorization(Policies.InstanceAdmin);
        instance.MapAdmins("Instance");
        instance.MapApiKeys("Instance");
        ListAudit.Map(instance.MapGroup("").RequireRole(Role.Admin), "Instance");

        var projects = api.MapGroup("/projects").WithTags("Projects").RequireAuthorization(Policies.InstanceAdmin);
        CreateProject.Map(projects.MapGroup("").RequireRole(Role.Admin));

        // Each answers with what its caller may see.
        var visible = api.MapGroup("/projects").WithTags("Projects").RequireAuthorization(Policies.AnyCaller);
        ListProjects.Map(visible);
        GetProject.Map(visible);
        ListEnvironments.Map(visible);
        GetEnvironment.Map(visible);

        var project = api.MapGroup("/projects/{id}").WithTags("Projects").RequireAuthorization(Policies.ProjectAdmin);
        ListProjectFeatures.Map(project);
        GetProjectFeature.Map(project);
        var administered = project.MapGroup("").RequireRole(Role.Admin);
        CreateEnvironment.Map(administered);
        PatchProject.Map(administered);
        DeleteProject.Map(administered);
        var environments = administered.MapGroup("/environments");
        PatchEnvironment.Map(environments);
        RotateEnvironmentKey.Map(environments);
        DeleteEnvironment.Map(environments);
        project.MapAdmins("Project");
        project.MapApiKeys("Project");
        project.MapWarehouseConnections();
        ListAudit.Map(administered, "Project");
    }
}
