using System.Text.Json;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Audit;

/// <summary>Lists who changed what in an environment, in a project with all its environments, or in the instance; newest first.</summary>
internal static class ListAudit
{
    public static void Map(RouteGroupBuilder group, string scope) =>
        group
            .MapGet(
                "/audit",
                context =>
                    context.Get(
                        new Query(context.Tenant, context.Query["object_type"], context.Query["object_id"], context.Page, context.Address)
                    )
            )
            .WithTags("Audit")
            .WithOperation($"list{scope}Audit", $"List the audit log of the {scope.ToLowerInvariant()}, newest first")
            .HasQuery("object_type", "Only changes of this kind of object.", "experiment")
            .HasQuery("object_id", "Only changes of the object with this id; goes with object_type.", "1")
            .HasPaging()
            .Returns<Listing<AuditEntry>>();

    internal sealed record Query(TenantScope Scope, string? ObjectType, string? ObjectId, Page Page, Uri Address)
        : IRequest<Result<Listing<AuditEntry>>>,
            IPaged;

    /// <summary>One change: who, what, before, after, when.</summary>
    [Example(
        """
            {"id": 9, "environment": "nYdVidOgY3xmcaFZEvZo5v", "at": "2026-11-22T12:30:00Z",
                "actor": "alice@example.com", "request_id": "0HN8J2K4", "address": "203.0.113.7",
                "action": "experiment.started",
                "object_type": "experiment",
             "object_id": 1, "before": {"status": "created"}, "after": {"status": "running"}}
            """
    )]
    internal record AuditEntry
    {
        public required long Id { get; init; }

        /// <summary>The key of the environment; null for what belongs to a project or to the instance.</summary>
        public required string? Environment { get; init; }

        public required DateTime At { get; init; }

        public required string Actor { get; init; }

        /// <summary>The X-Request-Id of the request that made the change; null if the service made it by itself.</summary>
        public required string? RequestId { get; init; }

        /// <summary>The IP address of the client; null if the service made the change by itself.</summary>
        public required string? Address { get; init; }

        public required string Action { get; init; }

        public required string ObjectType { get; init; }

        public required long ObjectId { get; init; }

        public required Json<JsonElement> Before { get; init; }

        public required Json<JsonElement> After { get; init; }
    }

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator()
        {
            this.RulesForPage();
            RuleFor(query => query.ObjectType)
                .OneOf("admin", "api_key", "cohort", "environment", "experiment", "feature", "holdout", "identity", "metric", "project");
            RuleFor(query => query.ObjectId).Id("an object");
            RuleFor(query => query.ObjectType)
                .NotNull()
                .When(query => query.ObjectId is not null)
                .WithMessage("This is required with object_id.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<AuditEntry>>>
    {
        // One text for each scope, because a plan is made once for all values of the parameters.
        private const string Sql = $"{Before}{OfEnvironment}{Between}{OfEnvironment}{After}";
        private const string SqlOfProject = $"{Before}{OfProject}{Between}{OfProject}{After}";
        private const string SqlOfInstance = $"{Before}true{Between}true{After}";

        private const string OfEnvironment = "environment_id = @EnvironmentId";
        private const string OfProject =
            "(project_id = @ProjectId OR environment_id IN (SELECT id FROM environments WHERE project_id = @ProjectId))";

        private const string Before = """
            WITH total AS (
                SELECT count(*) FROM audit_log
                WHERE 
            """;

        private const string Between = """
                 AND (@Type::text IS NULL OR object_type = @Type) AND (@Id::bigint IS NULL OR object_id = @Id)
            )
            SELECT total.count, a.id, (SELECT key FROM environments e WHERE e.id = a.environment_id) AS environment, a.at,
                   a.actor, a.request_id, a.address, a.action, a.object_type, a.object_id,
                   COALESCE(a.before, 'null')::text AS before, COALESCE(a.after, 'null')::text AS after
            FROM total
            LEFT JOIN (
                SELECT * FROM audit_log
                WHERE 
            """;

        private const string After = """
                 AND (@Type::text IS NULL OR object_type = @Type) AND (@Id::bigint IS NULL OR object_id = @Id)
                ORDER BY id DESC
                LIMIT @Limit OFFSET @Offset
            ) a ON true
            ORDER BY a.id DESC
            """;

        public async Task<Result<Listing<AuditEntry>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                query.Scope.EnvironmentId is not null ? Sql
                    : query.Scope.ProjectId is not null ? SqlOfProject
                    : SqlOfInstance,
                new
                {
                    query.Scope,
                    Type = query.ObjectType,
                    Id = ObjectIds.In(query.ObjectId),
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<AuditEntry>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : AuditEntry
        {
            public long Count { get; init; }
        }
    }
}
