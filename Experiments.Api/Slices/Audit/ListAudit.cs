using System.Text.Json;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Audit;

/// <summary>Lists who changed what in an environment, newest first.</summary>
internal static class ListAudit
{
    public static void Map(RouteGroupBuilder environment) =>
        environment
            .MapGet(
                "/audit",
                context =>
                    context.Get(
                        new Query(
                            context.Environment.Id,
                            context.Query["object_type"],
                            context.Query["object_id"],
                            context.Page,
                            context.Address
                        )
                    )
            )
            .WithTags("Audit")
            .WithOperation("listAudit", "List the audit log, newest first")
            .HasQuery("object_type", "Only changes of this kind of object.", "experiment")
            .HasQuery("object_id", "Only changes of the object with this id; goes with object_type.", "1")
            .HasPaging()
            .Returns<Listing<Entry>>();

    internal sealed record Query(long EnvironmentId, string? ObjectType, string? ObjectId, Page Page, Uri Address)
        : IRequest<Result<Listing<Entry>>>,
            IPaged;

    /// <summary>One change: who, what, before, after, when.</summary>
    [Example(
        """
            {"id": 9, "at": "2026-11-22T12:30:00Z", "actor": "alice@example.com", "action": "experiment.started",
                "object_type": "experiment",
             "object_id": 1, "before": {"status": "created"}, "after": {"status": "running"}}
            """
    )]
    internal record Entry
    {
        public required long Id { get; init; }

        public required DateTime At { get; init; }

        public required string Actor { get; init; }

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
                .OneOf("admin", "api_key", "cohort", "environment", "experiment", "feature", "holdout", "metric");
            RuleFor(query => query.ObjectId).Must(id => id is null || ObjectIds.In(id) is not null).WithMessage("This must be an id.");
            RuleFor(query => query.ObjectType)
                .NotNull()
                .When(query => query.ObjectId is not null)
                .WithMessage("This is required with object_id.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<Entry>>>
    {
        private const string Sql = """
            WITH total AS (
                SELECT count(*) FROM audit_log
                WHERE environment_id = @EnvironmentId AND (@Type::text IS NULL OR object_type = @Type)
                    AND (@Id::bigint IS NULL OR object_id = @Id)
            )
            SELECT total.count, a.id, a.at, a.actor, a.action, a.object_type, a.object_id,
                   COALESCE(a.before, 'null')::text AS before, COALESCE(a.after, 'null')::text AS after
            FROM total
            LEFT JOIN (
                SELECT * FROM audit_log
                WHERE environment_id = @EnvironmentId AND (@Type::text IS NULL OR object_type = @Type)
                    AND (@Id::bigint IS NULL OR object_id = @Id)
                ORDER BY id DESC
                LIMIT @Limit OFFSET @Offset
            ) a ON true
            ORDER BY a.id DESC
            """;

        public async Task<Result<Listing<Entry>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.EnvironmentId,
                    Type = query.ObjectType,
                    Id = ObjectIds.In(query.ObjectId),
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<Entry>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : Entry
        {
            public long Count { get; init; }
        }
    }
}
