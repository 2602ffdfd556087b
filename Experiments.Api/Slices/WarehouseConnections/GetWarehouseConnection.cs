using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.WarehouseConnections;

/// <summary>Reads one warehouse connection.</summary>
internal static class GetWarehouseConnection
{
    public static void Map(RouteGroupBuilder connections) =>
        connections
            .MapGet("/{connection}", context => context.Get(new Query(context.Id, context.RouteId("connection"))))
            .WithOperation("getWarehouseConnection", "Read a warehouse connection, without its password")
            .Returns<WarehouseConnectionView>()
            .FailsWith(Problem.NoWarehouseConnection);

    internal sealed record Query(long ProjectId, long Id) : IRequest<Result<WarehouseConnectionView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<WarehouseConnectionView>>
    {
        private const string Sql = $"""
            SELECT {WarehouseConnectionView.Columns} FROM warehouse_connections c
            WHERE c.id = @Id AND c.project_id = @ProjectId AND c.deleted_at IS NULL
            """;

        public async Task<Result<WarehouseConnectionView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<WarehouseConnectionView>(Sql, query, cancellationToken) is { } connection
                ? connection
                : Problem.NoWarehouseConnection;
    }
}
