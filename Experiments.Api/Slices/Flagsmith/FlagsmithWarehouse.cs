using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>The store that the service has built in, as the one warehouse connection that each environment has.</summary>
internal static class FlagsmithWarehouse
{
    private const int Most = 500;

    public static void Map(RouteGroupBuilder environment)
    {
        var connections = environment.MapGroup("/warehouse-connections").WithTags("Flagsmith");
        connections
            .MapGet("/", context => context.Showing<Store>(store => new[] { Connection(store) }).Get(new Query(context.Environment.Id)))
            .WithOperation("flagsmithListWarehouses", "List the one warehouse connection of the environment: the built-in store")
            .Returns<IReadOnlyList<FlagsmithWarehouseConnection>>();
        connections
            .MapGet("/{id}", context => Only(context, () => context.Showing<Store>(Connection).Get(new Query(context.Environment.Id))))
            .WithOperation("flagsmithGetWarehouse", "Read the warehouse connection")
            .Returns<FlagsmithWarehouseConnection>()
            .FailsWith(Problem.NoRoute);
        connections
            .MapGet(
                "/{id}/events",
                context =>
                    Only(
                        context,
                        () =>
                            context
                                .Showing<Store>(store => new FlagsmithEventList(store.Names, store.UniqueEvents > Most))
                                .Get(new Query(context.Environment.Id))
                    )
            )
            .WithOperation("flagsmithListWarehouseEvents", "List the names of events, the last received first")
            .Returns<FlagsmithEventList>()
            .FailsWith(Problem.NoRoute);
        connections
            .MapPost(
                "/{id}/test-warehouse-connection",
                context =>
                    Only(
                        context,
                        () => context.Showing<Store>(Connection).Act<RequestContext.NoBody, Store>(_ => new Query(context.Environment.Id))
                    )
            )
            .WithOperation("flagsmithTestWarehouse", "Test the warehouse connection")
            .Returns<FlagsmithWarehouseConnection>()
            .FailsWith(Problem.NoRoute);
    }

    private static async Task<IResult> Only(RequestContext context, Func<Task<IResult>> answer) =>
        context.Id == 1 ? await answer() : BufferedResponse.Of(Problem.NoRoute);

    private static FlagsmithWarehouseConnection Connection(Store store) =>
        new(1, "flagsmith", "connected", null, "Built-in store", null, store.CreatedAt, store.TotalEvents, store.UniqueEvents);

    internal sealed record Query(long EnvironmentId) : IRequest<Result<Store>>;

    /// <summary>What the store holds of an environment.</summary>
    internal sealed record Store
    {
        public DateTime CreatedAt { get; init; }

        public long TotalEvents { get; init; }

        public long UniqueEvents { get; init; }

        public string[] Names { get; init; } = [];
    }

    /// <summary>A warehouse connection. The built-in store has neither settings nor credentials, and is always connected.</summary>
    [Example(
        """
            {"id": 1, "warehouse_type": "flagsmith", "status": "connected", "status_detail": null, "name": "Built-in store", "config": null,
             "created_at": "2026-11-22T12:00:00Z", "total_events_received": 9000, "unique_events_count": 3}
            """
    )]
    internal sealed record FlagsmithWarehouseConnection(
        long Id,
        string WarehouseType,
        string Status,
        string? StatusDetail,
        string Name,
        string? Config,
        DateTime CreatedAt,
        long TotalEventsReceived,
        long UniqueEventsCount
    );

    /// <summary>Names of events.</summary>
    [Example("""{"events": ["purchase", "signup"], "is_truncated": false}""")]
    internal sealed record FlagsmithEventList(IReadOnlyList<string> Events, bool IsTruncated);

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Store>>
    {
        private const string Sql = """
            SELECT e.created_at, COALESCE(sum(n.count), 0)::bigint AS total_events, count(n.event) AS unique_events,
                COALESCE((array_agg(n.event ORDER BY n.last_seen DESC, n.event) FILTER (WHERE n.event IS NOT NULL))[:@Most],
                    ARRAY[]::text[]) AS names
            FROM environments e LEFT JOIN event_names n ON n.environment_id = e.id
            WHERE e.id = @EnvironmentId GROUP BY e.id
            """;

        public async Task<Result<Store>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<Store>(Sql, new { query.EnvironmentId, Most }, cancellationToken) is { } store ? store : Problem.Forbidden;
    }
}
