using System.Threading.RateLimiting;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Limits how many requests one caller may send, and how many of them are worked on at once, so that a script that runs wild, or waits for
/// a lock, does not take the database from others. Generous: a person or a deployment never notices.
/// </summary>
internal sealed class CallerLimiter(IOptions<RequestOptions> options, NpgsqlDataSource source) : IDisposable
{
    // Each request that is worked on may hold a connection. One caller leaves a third of them to others.
    private readonly PartitionedRateLimiter<string> _atOnce = PartitionedRateLimiter.Create<string, string>(caller =>
        RateLimitPartition.GetConcurrencyLimiter(
            caller,
            _ =>
                new()
                {
                    PermitLimit = Math.Max(1, new NpgsqlConnectionStringBuilder(source.ConnectionString).MaxPoolSize * 2 / 3),
                    QueueLimit = int.MaxValue,
                    QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
                }
        )
    );

    private readonly PartitionedRateLimiter<string>? _callers =
        options.Value.PerSecond == 0
            ? null
            : PartitionedRateLimiter.Create<string, string>(caller =>
                RateLimitPartition.GetTokenBucketLimiter(
                    caller,
                    _ =>
                        new()
                        {
                            TokenLimit = 2 * options.Value.PerSecond,
                            TokensPerPeriod = Math.Max(1, options.Value.PerSecond / 10),
                            ReplenishmentPeriod = TimeSpan.FromMilliseconds(100),
                            AutoReplenishment = true,
                        }
                )
            );

    /// <summary>Whether the caller of this request may send another one.</summary>
    public bool Allows(HttpContext http)
    {
        if (_callers is null)
        {
            return true;
        }

        using var lease = _callers.AttemptAcquire(Actor.Of(http.User).Name);
        return lease.IsAcquired;
    }

    /// <summary>Waits until the caller has few enough requests at work, at most until the deadline of this one.</summary>
    public async ValueTask<RateLimitLease> Turn(HttpContext http)
    {
        var caller = Actor.Of(http.User).Name;
        var lease = _atOnce.AttemptAcquire(caller);
        if (lease.IsAcquired)
        {
            return lease;
        }

        lease.Dispose();
        return await _atOnce.AcquireAsync(caller, 1, http.RequestAborted);
    }

    /// <summary>
    /// Ends a turn. A request that was given up may still have a statement running, on a connection of its own, until the time limit of
    /// statements.
    /// </summary>
    public void End(RateLimitLease turn, HttpContext http)
    {
        if (http.RequestAborted.IsCancellationRequested)
        {
            _ = EndLater(turn);
        }
        else
        {
            turn.Dispose();
        }
    }

    private async Task EndLater(RateLimitLease turn)
    {
        await Task.Delay(options.Value.Deadline);
        turn.Dispose();
    }

    public void Dispose()
    {
        _callers?.Dispose();
        _atOnce.Dispose();
    }
}
