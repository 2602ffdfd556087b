using ClickHouse.Driver.ADO;
using Experiments.Api.Aggregation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
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
            isClickHouse ? EventOptions.ClickHouse : EventOptions.PostgreSql,
            provider.GetRequiredService<ILogger<CurrentEventStore>>()
        ));
        // Also of events that have been copied there, or are left there.
        var servers = configuration.GetConnectionString(ConnectionString) is { Length: > 0 } named ? ShardAddress.Of(named) : [];
        foreach (var (_, replica) in servers.SelectMany(shard => shard.Replicas))
        {
            services.AddSingleton(new OwnServer(new ClickHouseClientSettings(replica).Host, null));
        }

        if (!isClickHouse)
        {
            return;
        }

        // At the start, and not when it is first needed, so that what is wrong with the settings is said at once.
        _ = Addresses(configuration);
        services.AddSingleton(provider => ShardsOf(configuration, provider.GetRequiredService<ILogger<ClickHouseShards>>()));
        services.AddSingleton<IEventStore, ClickHouseEventStore>();
        services.AddSingleton<IEventRetention, ClickHouseRetention>();
        services.AddSingleton<ClickHouseEventWriter>();
        services.AddSingleton<IEventWriter>(provider => new PostponingEventWriter(
            provider.GetRequiredService<ClickHouseEventWriter>(),
            provider.GetRequiredService<PostponedEvents>()
        ));
        services.AddHostedService(provider => provider.GetRequiredService<ClickHouseEventWriter>());
    }

    /// <summary>The store of a command that runs beside the service.</summary>
    /// <exception cref="InvalidOperationException">The settings name another store than the one where the events are.</exception>
    public static async Task<IEventStore> StoreOf(IConfiguration configuration, NpgsqlDataSource source)
    {
        IEventStore store = IsClickHouse(configuration)
            ? new ClickHouseEventStore(ShardsOf(configuration))
            : new PostgresEventStore(source, NullLogger<PostgresEventStore>.Instance);
        await using var connection = await source.OpenConnectionAsync();
        CurrentEventStore.Demand(store.Name, await CurrentEventStore.Read(connection));
        return store;
    }

    /// <summary>The ClickHouse that the settings name.</summary>
    /// <exception cref="InvalidOperationException">They name none, or several replicas without saying of which cluster.</exception>
    public static ClickHouseShards ShardsOf(IConfiguration configuration, ILogger? logger = null)
    {
        var (connection, cluster) = Addresses(configuration);
        return new(connection, cluster, logger);
    }

    private static (string Connection, string? Cluster) Addresses(IConfiguration configuration)
    {
        var connection = configuration.GetConnectionString(ConnectionString) is { Length: > 0 } named
            ? named
            : throw new InvalidOperationException("ConnectionStrings:ClickHouse must say where ClickHouse is.");
        var cluster = configuration[$"{EventOptions.Section}:{nameof(EventOptions.Cluster)}"] is { Length: > 0 } given ? given : null;
        return (ShardAddress.Of(connection).Max(shard => shard.Replicas.Count), cluster) switch
        {
            (> 1, null) => throw new InvalidOperationException(
                "ConnectionStrings:ClickHouse names several replicas, so Events:Cluster must name the cluster in which they keep their"
                    + " tables alike, for example main."
            ),
            (_, { } wrong) when !EventOptions.IsCluster(wrong) => throw new InvalidOperationException(EventOptions.WrongCluster),
            _ => (connection, cluster),
        };
    }

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
