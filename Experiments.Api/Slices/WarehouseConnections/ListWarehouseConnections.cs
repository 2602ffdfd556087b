using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.WarehouseConnections;

/// <summary>Lists the warehouse connections of a project, newest first, and never a password.</summary>
internal static class ListWarehouseConnections
{
    public static void Map(RouteGroupBuilder connections) =>
        connections
            .MapGet("/", context => context.Get(new Query(context.Id, context.Page, context.Address)))
            .WithOperation("listWarehouseConnections", "List the warehouse connections of the project, newest first")
            .HasPaging()
            .Returns<Listing<WarehouseConnectionView>>();

    internal sealed record Query(long ProjectId, Page Page, Uri Address) : IRequest<Result<Listing<WarehouseConnectionView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<WarehouseConnectionView>>>
    {
        private const string Sql = $"""
            WITH found AS (
                SELECT * FROM warehouse_connections WHERE project_id = @ProjectId AND deleted_at IS NULL
            )
            SELECT total.count, {WarehouseConnectionView.Columns}
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN (SELECT * FROM found ORDER BY id DESC LIMIT @Limit OFFSET @Offset) c ON true
            ORDER BY c.id DESC
            """;

        public async Task<Result<Listing<WarehouseConnectionView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.ProjectId,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<WarehouseConnectionView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : WarehouseConnectionView
        {
            public long Count { get; init; }
        }
    }
}
