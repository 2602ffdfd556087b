namespace Experiments.Tests.Support;

/// <summary>Tests that look at the instance as a whole, and would see what another test left: each starts with an empty one.</summary>
public abstract class WholeInstanceTests(TestService service) : IClassFixture<TestService>, IAsyncLifetime
{
    protected TestService Service => service;

    public async ValueTask InitializeAsync() => await service.Reset();

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }
}
