using System.Threading.RateLimiting;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Caching.Memory;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// Limits how many credentials from one address may be refused, so that guessing costs the database nothing and does not fill the log. Keys
/// that have been accepted here lately are still looked up: behind a proxy, those who share its address are not locked out.
/// </summary>
internal sealed class FailedSignIns(IOptions<RequestOptions> options, TimeProvider clock) : IDisposable
{
    private static readonly TimeSpan Lately = TimeSpan.FromMinutes(10);

    private readonly MemoryCache _accepted = new(new MemoryCacheOptions { SizeLimit = 20_000, Clock = new MonotonicClock(clock) });

    private readonly PartitionedRateLimiter<string>? _addresses =
        options.Value.FailedSignInsPerMinute == 0
            ? null
            : PartitionedRateLimiter.Create<string, string>(address =>
                RateLimitPartition.GetTokenBucketLimiter(
                    address,
                    _ =>
                        new()
                        {
                            TokenLimit = options.Value.FailedSignInsPerMinute,
                            TokensPerPeriod = options.Value.FailedSignInsPerMinute,
                            // The limiter adds what is due at each look, and does not wait for the end of a period.
                            ReplenishmentPeriod = TimeSpan.FromMinutes(1),
                            AutoReplenishment = true,
                        }
                )
            );

    /// <summary>Whether to look up this secret.</summary>
    public bool MayTry(HttpContext http, string secret) =>
        // A part of a permit is none, though the limiter would give none for it.
        _addresses?.GetStatistics(PlaceOf(http))
            is not { CurrentAvailablePermits: < 1 }
        || _accepted.TryGetValue(secret, out _);

    /// <summary>Counts a refused credential. Returns false if it is one too many.</summary>
    public bool Count(HttpContext http)
    {
        if (_addresses is null)
        {
            return true;
        }

        using var lease = _addresses.AttemptAcquire(PlaceOf(http));
        return lease.IsAcquired;
    }

    /// <summary>Remembers a secret that was accepted.</summary>
    public void Accepted(string secret) =>
        _accepted.Set(secret, true, new MemoryCacheEntryOptions { AbsoluteExpirationRelativeToNow = Lately, Size = 1 });

    public void Dispose()
    {
        _accepted.Dispose();
        _addresses?.Dispose();
    }

    // A single client usually has a whole /64 of IPv6 addresses.
    private static string PlaceOf(HttpContext http) =>
        ClientAddress.Of(http)?.GetAddressBytes() is { } bytes ? Convert.ToHexString(bytes.AsSpan(0, Math.Min(bytes.Length, 8))) : "";
}
