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

/// <summary>The caller has the role that the route needs, in its environment, in the project of that, or in the instance.</summary>
internal sealed class EnvironmentAdminHandler(AccessCache access) : AuthorizationHandler<EnvironmentAdminHandler.Requirement, HttpContext>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement, HttpContext resource)
    {
        if (
            resource.GetRouteValue("environment_key") is string key
            && await access.Environment(Actor.Of(context.User), key, resource.RequestAborted) is { } scope
            && RoleCheck.Passes(resource, scope.Role)
        )
        {
            resource.Features.Set(scope);
            context.Succeed(requirement);
        }
    }

    internal sealed record Requirement : IAuthorizationRequirement;
}

/// <summary>The caller has the role that the route needs, in its project or in the instance.</summary>
internal sealed class ProjectAdminHandler(AccessCache access) : AuthorizationHandler<ProjectAdminHandler.Requirement, HttpContext>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement, HttpContext resource)
    {
        var project = Http.ObjectIds.Parse(resource.GetRouteValue("id") as string);
        if (await access.RoleIn(Actor.Of(context.User), project, resource.RequestAborted) is { } role && RoleCheck.Passes(resource, role))
        {
            context.Succeed(requirement);
        }
    }

    internal sealed record Requirement : IAuthorizationRequirement;
}

/// <summary>The caller has the role that the route needs in the instance.</summary>
internal sealed class InstanceAdminHandler(AccessCache access) : AuthorizationHandler<InstanceAdminHandler.Requirement, HttpContext>
{
    protected override async Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement, HttpContext resource)
    {
        if (await access.RoleIn(Actor.Of(context.User), null, resource.RequestAborted) is { } role && RoleCheck.Passes(resource, role))
        {
            context.Succeed(requirement);
        }
    }

    internal sealed record Requirement : IAuthorizationRequirement;
}

/// <summary>Compares the role of a caller with the one that the route needs.</summary>
internal static class RoleCheck
{
    /// <summary>Whether the role is enough; where it is not, the answer will say so.</summary>
    public static bool Passes(HttpContext http, Role has)
    {
        var needed = Roles.Needed(http);
        if (has < needed)
        {
            http.Features.Set(new RoleTooLow(needed, has));
        }

        return has >= needed;
    }
}
