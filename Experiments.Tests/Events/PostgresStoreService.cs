namespace Experiments.Tests.Events;

/// <summary>A service that keeps its events in PostgreSQL, whatever the run does.</summary>
public sealed class PostgresStoreService(TestCluster cluster) : TestService(cluster)
{
    protected override string[] Settings => ["--Events:Store=postgresql"];
}
