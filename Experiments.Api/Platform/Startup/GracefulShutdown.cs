using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Startup;

/// <summary>
/// After the stop signal and before the listener closes, signals the shutdown to load balancers and keep-alive connections, and waits for
/// them to notice. The server then finishes accepted requests within its own time-out.
/// </summary>
internal sealed class GracefulShutdown(Readiness readiness, IOptions<RequestOptions> options) : IHostedLifecycleService
{
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        readiness.IsDraining = true;
        await Task.Delay(options.Value.Drain, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
