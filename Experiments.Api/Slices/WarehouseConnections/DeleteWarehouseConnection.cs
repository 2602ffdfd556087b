using Experiments.Api.Analysis;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using MediatR;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Slices.WarehouseConnections;

/// <summary>Deletes a connection that no experiment needs any more to become final, and its password with it.</summary>
internal static class DeleteWarehouseConnection
{
    public static void Map(RouteGroupBuilder connections) =>
        connections
            .MapDelete(
                "/{connection}",
                context => context.Delete(() => new Command(context.Caller, context.Id, context.RouteId("connection")))
            )
            .WithOperation("deleteWarehouseConnection", "Delete a warehouse connection that no experiment needs")
            .ReturnsNothing()
            .FailsWith(Problem.NoWarehouseConnection, Problem.WarehouseConnectionInUse);

    internal sealed record Command(Caller Caller, long ProjectId, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db, IOptions<ResultsOptions> options) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            SELECT id FROM warehouse_connections WHERE id = @Id AND project_id = @ProjectId FOR UPDATE;

            WITH subject AS (
                SELECT * FROM warehouse_connections WHERE id = @Id AND project_id = @ProjectId AND deleted_at IS NULL
            ), used AS (
                SELECT EXISTS (SELECT FROM subject s JOIN experiments e ON e.connection_id = s.id
                    JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
                    LEFT JOIN results r ON r.experiment_id = e.id
                    WHERE e.deleted_at IS NULL AND NOT ({ResultsService.IsFinal})) AS is_used
            ), deleted AS (
                UPDATE warehouse_connections c SET deleted_at = clock_timestamp(), password = '', version = c.version + 1
                FROM subject s, used u WHERE c.id = s.id AND NOT u.is_used
                RETURNING c.*
            ), logged AS (
                INSERT INTO audit_log (project_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT c.project_id, @Actor, @RequestId, @Address, 'warehouse_connection.deleted', 'warehouse_connection', c.id,
                    {WarehouseConnectionView.State}
                FROM deleted c
            )
            SELECT u.is_used FROM subject s, used u
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken) =>
            await db.ChangeLocked<Found>(
                Sql,
                new
                {
                    command.Caller,
                    command.ProjectId,
                    command.Id,
                    Late = options.Value.LateEvents,
                },
                cancellationToken
            ) switch
            {
                null => Problem.NoWarehouseConnection,
                { IsUsed: true } => Problem.WarehouseConnectionInUse,
                _ => Nothing.Value,
            };

        private sealed record Found(bool IsUsed);
    }
}
