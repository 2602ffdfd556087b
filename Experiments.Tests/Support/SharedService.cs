namespace Experiments.Tests.Support;

/// <summary>The service that all share whose tests keep to an environment of their own, so that it is started once.</summary>
public sealed class SharedService(TestCluster cluster) : TestService(cluster)
{
    private readonly TestCluster _cluster = cluster;

    public override async ValueTask InitializeAsync() => Join(await _cluster.Shared());
}
