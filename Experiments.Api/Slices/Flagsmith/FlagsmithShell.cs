using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Features;
using Experiments.Api.Slices.Me;
using Experiments.Api.Slices.Projects;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>What Flagsmith's front end asks for before it shows an environment: who I am, and what I may see.</summary>
internal static class FlagsmithShell
{
    public static void MapShell(this RouteGroupBuilder api)
    {
        var shell = api.MapGroup("").WithTags("Flagsmith").RequireAuthorization(Policies.AnyCaller);
        shell
            .MapGet("/auth/users/me", context => context.Showing<GetMe.Response>(FlagsmithUser.Of).Get(new GetMe.Query(context.Actor)))
            .WithOperation("flagsmithGetMe", "Who I am")
            .Returns<FlagsmithUser>();
        FlagsmithProjects.Map(shell);
        shell
            .MapGet("/environments", Environments)
            .WithOperation("flagsmithListEnvironments", "List the environments of a project that I may see")
            .HasQuery("project", "The id of the project.", "1", required: true)
            .Returns<Listing<FlagsmithEnvironment>>();
        shell
            .MapGet("/projects/{id}/features", Features)
            .WithOperation("flagsmithListFeatures", "List the features of a project as one of its environments has them")
            .HasQuery("environment", "The id of the environment, or its key.", "nYdVidOgY3xmcaFZEvZo5v", required: true)
            .HasQuery("type", "Only those of this type: STANDARD or MULTIVARIATE.", "MULTIVARIATE", words: ["STANDARD", "MULTIVARIATE"])
            .HasQuery("search", "Only those with this text in their name, in any case.", "button")
            .HasLenientPaging(FlagsmithRoutes.MostAsked)
            .Returns<Listing<FlagsmithFeature>>();
    }

    private static async Task<IResult> Environments(RequestContext context) =>
        context.Query["project"] is [{ } named] && ObjectIds.In(named) is { } project
            ? await context
                .Showing<Listing<EnvironmentView>>(list => new Listing<FlagsmithEnvironment>(
                    list.Count,
                    list.Next,
                    list.Previous,
                    [
                        .. list.Results.Select(environment => new FlagsmithEnvironment(
                            environment.Id,
                            environment.Name,
                            environment.Key,
                            project
                        )),
                    ]
                ))
                .Get(new ListEnvironments.Query(context.Actor, project, FlagsmithRoutes.PageOf(context), context.Address))
            : BufferedResponse.Of(ProblemResult.Field("project", "This is required: the id of a project."));

    private static async Task<IResult> Features(RequestContext context)
    {
        if (context.Query["environment"] is not [{ Length: > 0 } named])
        {
            return BufferedResponse.Of(ProblemResult.Field("environment", "This is required: the id or the key of an environment."));
        }

        var access = context.Resolve<AccessCache>();
        var id = ObjectIds.In(named) ?? (await access.Environment(context.Actor, named, context.Aborted))?.Id ?? 0;
        var found = await context.Send(new GetEnvironment.Query(context.Actor, context.Id, id));
        if (found.Value is not { } environment)
        {
            return BufferedResponse.Of(ProblemResult.Field("environment", "The project has no environment with this id or key."));
        }

        return
            await access.Environment(context.Actor, environment.Key, context.Aborted) is { } scope
            && await context.Resolve<FeatureGate>().IsOpen(FeatureGate.ExperimentalFlags, context.Actor, scope)
            ? await context
                .Showing<Listing<FeatureView>>(list => new Listing<FlagsmithFeature>(
                    list.Count,
                    list.Next,
                    list.Previous,
                    [.. list.Results.Select(FlagsmithFeature.Of)]
                ))
                .Get(
                    new ListFeatures.Query(
                        environment.Id,
                        context.Query["search"],
                        context.Query["type"] is [{ Length: > 0 } type] ? type.ToLowerInvariant() : null,
                        FlagsmithRoutes.PageOf(context),
                        context.Address
                    )
                )
            : BufferedResponse.Of(Problem.GateClosed);
    }

    /// <summary>The caller.</summary>
    [Example("""{"id": 0, "email": "alice@example.com", "first_name": "", "last_name": "", "is_superuser": false}""")]
    internal sealed record FlagsmithUser(long Id, string Email, string FirstName, string LastName, bool IsSuperuser)
    {
        public static FlagsmithUser Of(GetMe.Response me) => new(0, me.Name, "", "", me.InstanceRole == "admin");
    }

    /// <summary>An environment.</summary>
    [Example("""{"id": 1, "name": "production", "api_key": "nYdVidOgY3xmcaFZEvZo5v", "project": 1}""")]
    internal sealed record FlagsmithEnvironment(long Id, string Name, string ApiKey, long Project);
}
