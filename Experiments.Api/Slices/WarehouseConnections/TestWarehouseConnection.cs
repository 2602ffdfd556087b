using System.Diagnostics;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Warehouse;
using MediatR;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Slices.WarehouseConnections;

/// <summary>Connects to a warehouse and asks it for its version.</summary>
internal static class TestWarehouseConnection
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);

    public static void Map(RouteGroupBuilder connections) =>
        connections
            .MapPost(
                "/{connection}/test",
                context => context.Act<RequestContext.NoBody, Response>(_ => new Query(context.Id, context.RouteId("connection")))
            )
            .WithTimeLimit(Limit + TimeSpan.FromSeconds(2))
            .WithOperation("testWarehouseConnection", "Test a warehouse connection")
            .Returns<Response>()
            .FailsWith(Problem.NoWarehouseConnection, Problem.WarehousesOff, Problem.WarehouseFailed);

    internal sealed record Query(long ProjectId, long Id) : IRequest<Result<Response>>;

    /// <summary>What the warehouse answered.</summary>
    /// <param name="Version">Its version.</param>
    /// <param name="Milliseconds">How long it took to connect and to answer.</param>
    [Example("""{"version": "25.8.1.1", "milliseconds": 42}""")]
    internal sealed record Response(string Version, long Milliseconds);

    internal sealed class Handler(Db db, WarehouseClient client, WarehouseTestRunner tests, IOptions<WarehouseOptions> options)
        : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = $"""
            SELECT {WarehouseConnection.Columns} FROM warehouse_connections c
            WHERE c.id = @Id AND c.project_id = @ProjectId AND c.deleted_at IS NULL
            """;

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken)
        {
            if (!options.Value.IsOn)
            {
                return Problem.WarehousesOff;
            }

            if (await db.Row<WarehouseConnection>(Sql, query, cancellationToken) is not { } connection)
            {
                return Problem.NoWarehouseConnection;
            }

            return await tests.Run(
                db,
                query.ProjectId,
                async () =>
                {
                    var (clock, version) = (Stopwatch.StartNew(), "");
                    await client.Read(
                        connection,
                        "SELECT version()",
                        new Dictionary<string, object>(),
                        row => version = row.GetString(0),
                        Limit,
                        cancellationToken
                    );
                    return new Response(version, clock.ElapsedMilliseconds);
                },
                cancellationToken
            );
        }
    }
}
