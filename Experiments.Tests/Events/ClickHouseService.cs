using Experiments.Tests.Warehouse;

namespace Experiments.Tests.Events;

/// <summary>A service that keeps its events in ClickHouse, on a database of its own.</summary>
public class ClickHouseService(TestCluster cluster) : TestService(cluster)
{
    /// <summary>In how many shards.</summary>
    protected virtual int Shards => 1;

    public ClickHouseWarehouse Server { get; } = new();

    /// <summary>Where its events are.</summary>
    public string Events => TestEventStore.ConnectionString(Server, ConnectionString, Shards);

    protected override string[] Settings => ["--Events:Store=clickhouse", $"--ConnectionStrings:ClickHouse={Events}"];

    public override async ValueTask InitializeAsync()
    {
        await Server.InitializeAsync();
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}

/// <summary>One that keeps them in three shards.</summary>
public sealed class ShardedService(TestCluster cluster) : ClickHouseService(cluster)
{
    protected override int Shards => 3;
}

/// <summary>Another service on the database of one, which reaches ClickHouse in another way.</summary>
internal sealed class OtherService(ClickHouseService one, string events) : TestService(null!)
{
    public override async ValueTask InitializeAsync() =>
        await Begin(one.ConnectionString, "--Events:Store=clickhouse", $"--ConnectionStrings:ClickHouse={events}");
}
