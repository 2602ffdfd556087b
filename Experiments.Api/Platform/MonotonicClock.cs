using Microsoft.Extensions.Internal;

namespace Experiments.Api.Platform;

/// <summary>
/// A monotonic clock for caches: an entry with a lifetime of three seconds lives for three seconds, even if the system clock is changed
/// in the meantime.
/// </summary>
internal sealed class MonotonicClock(TimeProvider clock) : ISystemClock
{
    private readonly long _start = clock.GetTimestamp();

    public DateTimeOffset UtcNow => DateTimeOffset.UnixEpoch + clock.GetElapsedTime(_start);
}
