using Microsoft.AspNetCore.Authorization;

namespace Experiments.Api.Platform.Access;

/// <summary>The policies by name. A route that names none is closed to all but authenticated callers.</summary>
internal static class Policies
{
    public const string EnvironmentAdmin = nameof(EnvironmentAdmin);
    public const string ProjectAdmin = nameof(ProjectAdmin);
    public const string InstanceAdmin = nameof(InstanceAdmin);

    /// <summary>Whoever has a valid credential, whatever it opens.</summary>
    public const string AnyCaller = nameof(AnyCaller);

    /// <summary>
    /// Lets everyone in without looking at a credential, and so without asking the database. AllowAnonymous would look at it.
    /// </summary>
    public const string Everyone = nameof(Everyone);
}

/// <summary>The caller is an admin of the environment in the route, of its project, or of the instance.</summary>
internal sealed class EnvironmentAdminHandler(AccessCache access) : AuthorizationHandler<EnvironmentAdminHandler.Requirement, HttpContext>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement, HttpContext resource)
    {
        if (
            resource.GetRouteValue("environment_key") is string key
            && await access.Environment(Actor.Of(context.User), key, resource.RequestAborted) is { } scope
        )
        {
            resource.Features.Set(scope);
            context.Succeed(requirement);
        }
    }

    internal sealed record Requirement : IAuthorizationRequirement;
}

/// <summary>The caller is an admin of the project in the route, or of the instance.</summary>
internal sealed class ProjectAdminHandler(AccessCache access) : AuthorizationHandler<ProjectAdminHandler.Requirement, HttpContext>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement, HttpContext resource)
    {
        if (
            await access.Administers(
                Actor.Of(context.User),
                Http.ObjectIds.Parse(resource.GetRouteValue("id") as string),
                resource.RequestAborted
            )
        )
        {
            context.Succeed(requirement);
        }
    }

    internal sealed record Requirement : IAuthorizationRequirement;
}

/// <summary>The caller is an admin of the instance.</summary>
internal sealed class InstanceAdminHandler(AccessCache access) : AuthorizationHandler<InstanceAdminHandler.Requirement, HttpContext>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement, HttpContext resource)
    {
        if (await access.Administers(Actor.Of(context.User), null, resource.RequestAborted))
        {
            context.Succeed(requirement);
        }
    }

    internal sealed record Requirement : IAuthorizationRequirement;
}
