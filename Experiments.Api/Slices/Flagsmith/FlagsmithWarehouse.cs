using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Events;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>The store that the service has built in, as the one warehouse connection that each environment has.</summary>
internal static class FlagsmithWarehouse
{
    private const int Most = 100;

    public static void MapWarehouse(this RouteGroupBuilder environment)
    {
        var connections = environment.MapGroup("/warehouse-connections").WithTags("Flagsmith");
        connections
            .MapGet("/", context => context.Showing<Listing<ListEventNames.EventName>>(names => new[] { Of(names) }).Get(Names(context)))
            .WithOperation("flagsmithListWarehouses", "List the one warehouse connection of the environment: the built-in store")
            .Returns<IReadOnlyList<FlagsmithWarehouseConnection>>();
        connections
            .MapGet("/{id}", context => Only(context, () => context.Showing<Listing<ListEventNames.EventName>>(Of).Get(Names(context))))
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
                                .Showing<Listing<ListEventNames.EventName>>(names => new FlagsmithEventList(
                                    [.. names.Results.Select(name => name.Event)],
                                    names.Next is not null
                                ))
                                .Get(Names(context))
                    )
            )
            .WithOperation("flagsmithListWarehouseEvents", "List the names of events, the last received first")
            .Returns<FlagsmithEventList>()
            .FailsWith(Problem.NoRoute);
        connections
            .MapPost("/{id}/test-warehouse-connection", context => Only(context, () => Test(context)))
            .WithOperation("flagsmithTestWarehouse", "Test the warehouse connection")
            .Returns<FlagsmithWarehouseConnection>()
            .FailsWith(Problem.NoRoute);
    }

    private static Task<IResult> Test(RequestContext context) =>
        context
            .Showing<Listing<ListEventNames.EventName>>(Of)
            .Act<RequestContext.NoBody, Listing<ListEventNames.EventName>>(_ => Names(context));

    private static async Task<IResult> Only(RequestContext context, Func<Task<IResult>> answer) =>
        context.Id == 1 ? await answer() : BufferedResponse.Of(Problem.NoRoute);

    private static ListEventNames.Query Names(RequestContext context) =>
        new(context.Environment.Id, null, new Page(1, Most), context.Address);

    private static FlagsmithWarehouseConnection Of(Listing<ListEventNames.EventName> names) =>
        new(1, "flagsmith", "connected", null, "Built-in store", null, null, names.Results.Sum(name => name.Count), names.Count);

    /// <summary>A warehouse connection. The built-in store has neither settings nor credentials, and is always connected.</summary>
    [Example(
        """
            {"id": 1, "warehouse_type": "flagsmith", "status": "connected", "status_detail": null, "name": "Built-in store", "config": null,
             "created_at": null, "total_events_received": 9000, "unique_events_count": 3}
            """
    )]
    internal sealed record FlagsmithWarehouseConnection(
        long Id,
        string WarehouseType,
        string Status,
        string? StatusDetail,
        string Name,
        string? Config,
        DateTime? CreatedAt,
        long TotalEventsReceived,
        long UniqueEventsCount
    );

    /// <summary>Names of events.</summary>
    [Example("""{"events": ["purchase", "signup"], "is_truncated": false}""")]
    internal sealed record FlagsmithEventList(IReadOnlyList<string> Events, bool IsTruncated);
}
