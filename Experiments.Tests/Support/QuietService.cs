namespace Experiments.Tests.Support;

/// <summary>A service that logs nothing, for tests that provoke what an operator should see as an error.</summary>
public sealed class QuietService(TestCluster cluster) : TestService(cluster)
{
    protected override string[] Settings => ["--Logging:LogLevel:Default=None"];
}
