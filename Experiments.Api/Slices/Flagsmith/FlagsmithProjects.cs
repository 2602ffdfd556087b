using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>The projects that the caller may see with the ids of their organisations, which are no more than names here.</summary>
internal static class FlagsmithProjects
{
    // More than any person has.
    private const int Most = 1000;

    public static void Map(RouteGroupBuilder shell)
    {
        shell
            .MapGet(
                "/organisations",
                context =>
                    context
                        .Showing<IReadOnlyList<FlagsmithProject>>(projects => Organisations(projects))
                        .Get(new Query(context.Actor, null))
            )
            .WithOperation("flagsmithListOrganisations", "List the organisations of the projects that I may see")
            .Returns<Listing<FlagsmithOrganisation>>();
        shell
            .MapGet(
                "/projects",
                context =>
                    context
                        .Showing<IReadOnlyList<FlagsmithProject>>(projects =>
                            context.Query["organisation"] is [{ Length: > 0 } wanted]
                                ? projects.Where(project => ObjectIds.In(wanted) == project.Organisation).ToList()
                                : projects
                        )
                        .Get(new Query(context.Actor, null))
            )
            .WithOperation("flagsmithListProjects", "List the projects that I may see")
            .HasQuery("organisation", "Only those of the organisation with this id.", "1")
            .Returns<IReadOnlyList<FlagsmithProject>>();
        shell
            .MapGet(
                "/projects/{id}",
                context => context.Showing<IReadOnlyList<FlagsmithProject>>(found => found[0]).Get(new Query(context.Actor, context.Id))
            )
            .WithOperation("flagsmithGetProject", "Read a project")
            .Returns<FlagsmithProject>();
    }

    internal sealed record Query(Actor Actor, long? Id) : IRequest<Result<IReadOnlyList<FlagsmithProject>>>;

    private static Listing<FlagsmithOrganisation> Organisations(IReadOnlyList<FlagsmithProject> projects)
    {
        var found = projects
            .GroupBy(project => project.Organisation)
            .Select(group => new FlagsmithOrganisation(
                group.Key,
                group.First().OrganisationName,
                group.Min(project => project.CreatedDate)
            ))
            .ToList();
        return new(found.Count, null, null, found);
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<IReadOnlyList<FlagsmithProject>>>
    {
        // The id of the first project of an organisation that the caller may see stands for it.
        private const string Sql = $"""
            WITH {Grants.Sql}, visible AS (
                SELECT p.id, p.name, p.organisation AS organisation_name, p.created_at AS created_date,
                    min(p.id) OVER (PARTITION BY p.organisation) AS organisation
                FROM projects p WHERE p.deleted_at IS NULL AND {Grants.InPartOfProject}
            )
            SELECT * FROM visible WHERE @Id::bigint IS NULL OR id = @Id ORDER BY id LIMIT @Most
            """;

        public async Task<Result<IReadOnlyList<FlagsmithProject>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<FlagsmithProject>(
                Sql,
                new
                {
                    Grants = Grants.Of(query.Actor),
                    query.Id,
                    Most,
                },
                cancellationToken
            );
            // Whoever may not see it is not told whether it exists.
            return query.Id is not null && rows.Count == 0 ? Problem.Forbidden : Result<IReadOnlyList<FlagsmithProject>>.Of([.. rows]);
        }
    }
}

/// <summary>An organisation.</summary>
[Example("""{"id": 1, "name": "Acme", "created_date": "2026-11-22T12:00:00Z"}""")]
internal sealed record FlagsmithOrganisation(long Id, string Name, DateTime CreatedDate);

/// <summary>A project.</summary>
[Example("""{"id": 1, "name": "Shop", "organisation": 1, "organisation_name": "Acme", "created_date": "2026-11-22T12:00:00Z"}""")]
internal sealed record FlagsmithProject
{
    public required long Id { get; init; }

    public required string Name { get; init; }

    /// <summary>The id of the organisation.</summary>
    public required long Organisation { get; init; }

    /// <summary>The name of the organisation.</summary>
    public required string OrganisationName { get; init; }

    public required DateTime CreatedDate { get; init; }
}
