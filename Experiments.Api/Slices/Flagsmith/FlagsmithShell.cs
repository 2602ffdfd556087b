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
        shell
            .MapGet(
                "/organisations",
                context =>
                    context
                        .Showing<Listing<ProjectView>>(projects => new Listing<FlagsmithOrganisation>(
                            OrganisationsOf(projects).Count,
                            null,
                            null,
                            OrganisationsOf(projects)
                        ))
                        .Get(Projects(context))
            )
            .WithOperation("flagsmithListOrganisations", "List the organisations of the projects that I may see")
            .Returns<Listing<FlagsmithOrganisation>>();
        shell
            .MapGet(
                "/projects",
                context =>
                    context
                        .Showing<Listing<ProjectView>>(projects =>
                            OrganisationsOf(projects) is var organisations
                                ? projects
                                    .Results.Select(project => FlagsmithProject.Of(project, organisations))
                                    .Where(project =>
                                        context.Query["organisation"] is not [{ Length: > 0 } wanted]
                                        || ObjectIds.In(wanted) == project.Organisation
                                    )
                                    .ToList()
                                : []
                        )
                        .Get(Projects(context))
            )
            .WithOperation("flagsmithListProjects", "List the projects that I may see")
            .HasQuery("organisation", "Only those of the organisation with this id.", "1")
            .Returns<IReadOnlyList<FlagsmithProject>>();
        shell
            .MapGet(
                "/projects/{id}",
                context =>
                    context
                        .Showing<ProjectView>(project => FlagsmithProject.Of(project, []))
                        .Get(new GetProject.Query(context.Actor, context.Id))
            )
            .WithOperation("flagsmithGetProject", "Read a project")
            .Returns<FlagsmithProject>();
        shell
            .MapGet("/environments", Environments)
            .WithOperation("flagsmithListEnvironments", "List the environments of a project that I may see")
            .HasQuery("project", "The id of the project.", "1")
            .Returns<Listing<FlagsmithEnvironment>>();
        shell
            .MapGet("/projects/{id}/features", Features)
            .WithOperation("flagsmithListFeatures", "List the features of a project as one of its environments has them")
            .HasQuery("environment", "The id of the environment, or its key.", "1")
            .HasQuery("type", "Only those of this type: STANDARD or MULTIVARIATE.", "MULTIVARIATE")
            .HasQuery("search", "Only those with this text in their name, in any case.", "button")
            .HasPaging()
            .Returns<Listing<FlagsmithFeature>>();
    }

    private static ListProjects.Query Projects(RequestContext context) => new(context.Actor, new Page(1, Page.MaxSize), context.Address);

    // An organisation is no more than a name here; the id of its first project stands for it.
    private static List<FlagsmithOrganisation> OrganisationsOf(Listing<ProjectView> projects) =>
        [
            .. projects
                .Results.GroupBy(project => project.Organisation)
                .Select(group => new FlagsmithOrganisation(
                    group.Min(project => project.Id),
                    group.Key,
                    group.Min(project => project.CreatedAt)
                ))
                .OrderBy(organisation => organisation.Id),
        ];

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

        var environments = await context.Send(
            new ListEnvironments.Query(context.Actor, context.Id, new Page(1, Page.MaxSize), context.Address)
        );
        if (environments.Value is not { } visible)
        {
            return BufferedResponse.Of(environments.Failure!);
        }

        if (visible.Results.FirstOrDefault(one => one.Key == named || ObjectIds.In(named) == one.Id) is not { } environment)
        {
            return BufferedResponse.Of(ProblemResult.Field("environment", "The project has no environment with this id or key."));
        }

        return
            await context.Resolve<AccessCache>().Environment(context.Actor, environment.Key, context.Aborted) is { } scope
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

    /// <summary>An organisation.</summary>
    [Example("""{"id": 1, "name": "Acme", "created_date": "2026-11-22T12:00:00Z"}""")]
    internal sealed record FlagsmithOrganisation(long Id, string Name, DateTime CreatedDate);

    /// <summary>A project.</summary>
    [Example("""{"id": 1, "name": "Shop", "organisation": 1, "created_date": "2026-11-22T12:00:00Z"}""")]
    internal sealed record FlagsmithProject(long Id, string Name, long Organisation, DateTime CreatedDate)
    {
        public static FlagsmithProject Of(ProjectView project, IReadOnlyList<FlagsmithOrganisation> organisations) =>
            new(
                project.Id,
                project.Name,
                organisations.FirstOrDefault(organisation => organisation.Name == project.Organisation)?.Id ?? project.Id,
                project.CreatedAt
            );
    }

    /// <summary>An environment.</summary>
    [Example("""{"id": 1, "name": "production", "api_key": "nYdVidOgY3xmcaFZEvZo5v", "project": 1}""")]
    internal sealed record FlagsmithEnvironment(long Id, string Name, string ApiKey, long Project);
}
