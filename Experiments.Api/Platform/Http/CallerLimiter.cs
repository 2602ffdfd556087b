using System.Threading.RateLimiting;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Limits how many requests one caller may send, so that a script that runs wild does not take the database from others. Generous: a person
/// or a deployment never notices.
/// </summary>
internal sealed class CallerLimiter(IOptions<RequestOptions> options) : IDisposable
{
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

    public void Dispose() => _callers?.Dispose();
}
