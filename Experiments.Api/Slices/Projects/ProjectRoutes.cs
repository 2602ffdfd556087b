using Experiments.Api.Platform.Access;
using Experiments.Api.Slices.Admins;
using Experiments.Api.Slices.ApiKeys;
using Experiments.Api.Slices.Audit;

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
        ListProjects.Map(projects);
        CreateProject.Map(projects.MapGroup("").RequireRole(Role.Admin));

        var project = api.MapGroup("/projects/{id}").WithTags("Projects").RequireAuthorization(Policies.ProjectAdmin);
        ListEnvironments.Map(project);
        var administered = project.MapGroup("").RequireRole(Role.Admin);
        CreateEnvironment.Map(administered);
        DeleteProject.Map(administered);
        var environments = administered.MapGroup("/environments");
        RenameEnvironment.Map(environments);
        RotateEnvironmentKey.Map(environments);
        DeleteEnvironment.Map(environments);
        project.MapAdmins("Project");
        project.MapApiKeys("Project");
        ListAudit.Map(administered, "Project");
    }
}
