using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Experiments.Api.Ingestion;

/// <summary>
/// How much of the memory for bodies one environment, and one address, may hold at a time, so that others find room whatever it sends.
/// </summary>
/// <param name="ofAddress">Whether addresses have a share as well. Behind a proxy that hides them, all would have one together.</param>
internal sealed class IngestionShares(bool ofAddress)
{
    /// <summary>How many bytes the small bodies of one environment may hold: half of what there is for all.</summary>
    public const int SmallOfEnvironment = 16 * 1024 * 1024;

    /// <summary>The same for large bodies.</summary>
    public const int LargeOfEnvironment = 32 * 1024 * 1024;

    private readonly ConcurrentDictionary<(long? Environment, IPAddress? Address, bool IsLarge), long> _held = new();

    /// <summary>Takes so many bytes, or nothing where that would be more than a share.</summary>
    public bool TryTake(long environmentId, IPAddress? address, bool isLarge, int bytes)
    {
        var share = isLarge ? LargeOfEnvironment : SmallOfEnvironment;
        if (!TryTake((environmentId, null, isLarge), bytes, share))
        {
            return false;
        }

        // An address may hold half of that.
        if (!HasShare(environmentId, address) || TryTake((null, address, isLarge), bytes, share / 2))
        {
            return true;
        }

        GiveBack((environmentId, null, isLarge), bytes);
        return false;
    }

    /// <summary>Gives back what was taken.</summary>
    public void GiveBack(long environmentId, IPAddress? address, bool isLarge, long bytes)
    {
        if (bytes == 0)
        {
            return;
        }

        GiveBack((environmentId, null, isLarge), bytes);
        if (HasShare(environmentId, address))
        {
            GiveBack((null, address, isLarge), bytes);
        }
    }

    // Whoever has not said yet which environment it is of has no other share.
    private bool HasShare(long environmentId, [NotNullWhen(true)] IPAddress? address) =>
        address is not null && (ofAddress || environmentId == IngestionLimiter.Sender.Unknown.EnvironmentId);

    private bool TryTake((long?, IPAddress?, bool) holder, int bytes, long share)
    {
        if (_held.AddOrUpdate(holder, bytes, (_, held) => held + bytes) <= share)
        {
            return true;
        }

        GiveBack(holder, bytes);
        return false;
    }

    private void GiveBack((long?, IPAddress?, bool) holder, long bytes)
    {
        var left = _held.AddOrUpdate(holder, -bytes, (_, held) => held - bytes);
        if (left == 0)
        {
            // Only if it is still nothing, so that nobody who holds something is forgotten.
            _held.TryRemove(new(holder, 0));
        }
    }
}
