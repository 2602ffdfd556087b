using Experiments.Tests.Warehouse;

namespace Experiments.Tests.Events;

/// <summary>A service that keeps its events in ClickHouse, on a database of its own.</summary>
public sealed class ClickHouseService(TestCluster cluster) : TestService(cluster)
{
    public ClickHouseWarehouse Server { get; } = new();

    /// <summary>Where its events are.</summary>
    public string Events => TestEventStore.ConnectionString(Server, ConnectionString);

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
    }
}
