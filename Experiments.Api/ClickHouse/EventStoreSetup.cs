using Experiments.Api.Aggregation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>Where events are kept: in PostgreSQL, or in ClickHouse if the settings say so.</summary>
internal static class EventStoreSetup
{
    private const string ConnectionString = "ClickHouse";

    /// <summary>Replaces the store of events where the settings name another one.</summary>
    public static void AddEventStore(this IServiceCollection services, IConfiguration configuration)
    {
        var isClickHouse = IsClickHouse(configuration);
        services.AddSingleton<IDatabasePreparation>(provider => new CurrentEventStore(
            provider.GetRequiredService<NpgsqlDataSource>(),
            isClickHouse ? EventOptions.ClickHouse : EventOptions.PostgreSql
        ));
        if (!isClickHouse)
        {
            return;
        }

        services.AddSingleton(ServerOf(configuration));
        services.AddSingleton<IEventStore, ClickHouseEventStore>();
        services.AddSingleton<IEventRetention, ClickHouseRetention>();
        services.AddSingleton<ClickHouseEventWriter>();
        services.AddSingleton<IEventWriter>(provider => provider.GetRequiredService<ClickHouseEventWriter>());
        services.AddHostedService(provider => provider.GetRequiredService<ClickHouseEventWriter>());
    }

    /// <summary>The store of a command that runs beside the service.</summary>
    /// <exception cref="InvalidOperationException">The settings name another store than the one where the events are.</exception>
    public static async Task<IEventStore> StoreOf(IConfiguration configuration, NpgsqlDataSource source)
    {
        IEventStore store = IsClickHouse(configuration)
            ? new ClickHouseEventStore(ServerOf(configuration))
            : new PostgresEventStore(source, NullLogger<PostgresEventStore>.Instance);
        await using var connection = await source.OpenConnectionAsync();
        CurrentEventStore.Demand(store.Name, await CurrentEventStore.Read(connection));
        return store;
    }

    /// <summary>The server that the settings name.</summary>
    /// <exception cref="InvalidOperationException">They name none.</exception>
    public static ClickHouseServer ServerOf(IConfiguration configuration) =>
        new(
            configuration.GetConnectionString(ConnectionString) is { Length: > 0 } named
                ? named
                : throw new InvalidOperationException("ConnectionStrings:ClickHouse must say where ClickHouse is."),
            configuration[$"{EventOptions.Section}:{nameof(EventOptions.Cluster)}"]
        );

    private static bool IsClickHouse(IConfiguration configuration)
    {
        var store = configuration[$"{EventOptions.Section}:{nameof(EventOptions.Store)}"] ?? EventOptions.PostgreSql;
        return store switch
        {
            EventOptions.PostgreSql => false,
            EventOptions.ClickHouse when configuration.GetConnectionString(ConnectionString) is { Length: > 0 } => true,
            EventOptions.ClickHouse => throw new InvalidOperationException(
                "Events:Store is clickhouse, so ConnectionStrings:ClickHouse must say where that is, for example"
                    + " Host=clickhouse;Port=8123;Username=experiments;Password=secret;Database=experiments."
            ),
            _ => throw new InvalidOperationException($"Events:Store must be {EventOptions.PostgreSql} or {EventOptions.ClickHouse}."),
        };
    }
}
