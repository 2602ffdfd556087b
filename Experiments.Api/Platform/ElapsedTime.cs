using Microsoft.Extensions.Internal;

namespace Experiments.Api.Platform;

/// <summary>
/// A clock for caches that only ever goes forward: what is remembered for three seconds is remembered for three seconds, whatever
/// somebody does to the clock of the machine meanwhile.
/// </summary>
internal sealed class ElapsedTime(TimeProvider clock) : ISystemClock
{
    private readonly long _start = clock.GetTimestamp();

    public DateTimeOffset UtcNow => DateTimeOffset.UnixEpoch + clock.GetElapsedTime(_start);
}
