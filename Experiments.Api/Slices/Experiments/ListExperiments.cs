using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>Lists the experiments of an environment, newest first, with how many there are in each status.</summary>
internal static class ListExperiments
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet(
                "/",
                context =>
                    context.Get(
                        new Query(
                            context.Environment.Id,
                            [.. context.Query["status"]],
                            context.Query["q"],
                            context.Query["archived"],
                            context.Query["feature"],
                            context.Query["created_by"],
                            context.Query["ordering"],
                            context.Page,
                            context.Address
                        )
                    )
            )
            .WithOperation("listExperiments", "List experiments, newest first")
            .HasQuery("status", "Only those in this status; may be repeated.", "running", repeatable: true)
            .HasQuery("q", "Only those with this text in their own or their feature's name, in any case.", "checkout")
            .HasQuery("archived", "true lists the archived ones instead.", "false", otherwise: "false")
            .HasQuery("feature", "Only those on the feature with this id.", "1")
            .HasQuery("created_by", "Only those that this actor created, as the audit log names it.", "alice@example.com")
            .HasQuery(
                "ordering",
                "created_at, updated_at, started_at or name, with a hyphen before it from last to first.",
                "-created_at",
                otherwise: "-created_at"
            )
            .HasPaging()
            .Returns<Response>();

    internal sealed record Query(
        long EnvironmentId,
        string?[] Status,
        string? Q,
        string? Archived,
        string? Feature,
        string? CreatedBy,
        string? Ordering,
        Page Page,
        Uri Address
    ) : IRequest<Result<Response>>, IPaged;

    [Example(
        """
            {"count": 0, "next": null, "previous": null, "status_counts": {"created": 0, "running": 0, "paused": 0, "completed": 0},
                "results": []}
            """
    )]
    internal sealed record Response(
        long Count,
        string? Next,
        string? Previous,
        StatusCounts StatusCounts,
        IReadOnlyList<ExperimentView> Results
    );

    /// <summary>How many experiments match in each status, whatever <c>status</c> was asked for.</summary>
    internal sealed record StatusCounts(long Created, long Running, long Paused, long Completed);

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleForEach(query => query.Status).OneOf(Words.All<ExperimentStatus>());
            RuleFor(query => query.Q).Search();
            RuleFor(query => query.Archived).OneOf("true", "false");
            RuleFor(query => query.Feature).Id("a feature");
            RuleFor(query => query.CreatedBy).Search();
            RuleFor(query => query.Ordering).OneOf([.. Handler.Orders.Keys]);
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Response>>
    {
        // The feature is looked at only where the experiment's own name does not match.
        private const string Found = """
            FROM experiments e
            WHERE e.environment_id = @EnvironmentId AND e.deleted_at IS NULL AND e.archived = @Archived
              AND (@Feature::bigint IS NULL OR e.feature_id = @Feature) AND (@CreatedBy::text IS NULL OR e.created_by = @CreatedBy)
              AND (@Pattern::text IS NULL OR e.name ILIKE @Pattern OR EXISTS (
                  SELECT FROM features f WHERE f.id = e.feature_id AND f.name ILIKE @Pattern))
            """;

        private const string Counted = $"""
            WITH counts AS (
                SELECT count(*) FILTER (WHERE e.status = 'created') AS created, count(*) FILTER (WHERE e.status = 'running') AS running,
                       count(*) FILTER (WHERE e.status = 'paused') AS paused, count(*) FILTER (WHERE e.status = 'completed') AS completed
                {Found}
            ), page AS (
                SELECT e.* {Found} AND e.status = ANY (@Statuses)
                ORDER BY 
            """;

        private const string Shown = $"""
                 LIMIT @Limit OFFSET @Offset
            )
            SELECT counts.*, {ExperimentView.Columns}
            FROM counts
            LEFT JOIN (page e JOIN environment_features f ON f.id = e.feature_id AND f.environment_id = e.environment_id) ON true
            ORDER BY 
            """;

        private const string Newest = "e.created_at DESC, e.id DESC";
        private const string Oldest = "e.created_at, e.id";
        private const string LastUpdated = "e.updated_at DESC, e.id DESC";
        private const string FirstUpdated = "e.updated_at, e.id";
        private const string LastStarted = "e.started_at DESC NULLS LAST, e.id DESC";
        private const string FirstStarted = "e.started_at NULLS LAST, e.id";
        private const string FromZToA = "lower(e.name) DESC, e.id DESC";
        private const string FromAToZ = "lower(e.name), e.id";

        private const string Sql = $"{Counted}{Newest}{Shown}{Newest}";

        // One text for each order, so that the usual one is read from its index.
        public static readonly Dictionary<string, string> Orders = new()
        {
            ["-created_at"] = Sql,
            ["created_at"] = $"{Counted}{Oldest}{Shown}{Oldest}",
            ["-updated_at"] = $"{Counted}{LastUpdated}{Shown}{LastUpdated}",
            ["updated_at"] = $"{Counted}{FirstUpdated}{Shown}{FirstUpdated}",
            ["-started_at"] = $"{Counted}{LastStarted}{Shown}{LastStarted}",
            ["started_at"] = $"{Counted}{FirstStarted}{Shown}{FirstStarted}",
            ["-name"] = $"{Counted}{FromZToA}{Shown}{FromZToA}",
            ["name"] = $"{Counted}{FromAToZ}{Shown}{FromAToZ}",
        };

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken)
        {
            var statuses = query.Status.Length > 0 ? query.Status : Words.All<ExperimentStatus>();
            var rows = await db.Rows<Row>(
                Orders[query.Ordering ?? "-created_at"],
                new
                {
                    query.EnvironmentId,
                    Feature = ObjectIds.In(query.Feature),
                    query.CreatedBy,
                    Archived = query.Archived == "true",
                    Pattern = Rules.LikePattern(query.Q),
                    Statuses = statuses,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );

            var counts = new StatusCounts(rows[0].Created, rows[0].Running, rows[0].Paused, rows[0].Completed);
            var count = statuses.Distinct().Sum(status => rows[0].Of(status!));
            var (exists, next, previous) = query.Page.Links(query.Address, count);
            return exists ? new Response(count, next, previous, counts, [.. rows.Where(row => row.Id > 0)]) : Problem.NoPage;
        }

        private sealed record Row : ExperimentView
        {
            public long Created { get; init; }

            public long Running { get; init; }

            public long Paused { get; init; }

            public long Completed { get; init; }

            public long Of(string status) =>
                status switch
                {
                    "created" => Created,
                    "running" => Running,
                    "paused" => Paused,
                    _ => Completed,
                };
        }
    }
}
