using System.Collections.Concurrent;
using System.Net;

namespace Experiments.Api.Ingestion;

/// <summary>
/// How much of the memory for bodies one environment, and one address, may hold at a time, so that others find room whatever it sends.
/// </summary>
/// <param name="ofAddress">Whether addresses have a share as well. Behind a proxy that hides them, all would have one together.</param>
internal sealed class IngestionShares(bool ofAddress)
{
    /// <summary>The bytes that the bodies of one environment may hold: half of what there is for all.</summary>
    public const int OfEnvironment = 32 * 1024 * 1024;

    /// <summary>The bytes that the bodies from one address may hold.</summary>
    public const int OfAddress = 16 * 1024 * 1024;

    private readonly ConcurrentDictionary<object, long> _held = new();

    /// <summary>Takes so many bytes, or nothing where that would be more than a share.</summary>
    public bool TryTake(long environmentId, IPAddress? address, int bytes)
    {
        if (!TryTake(environmentId, bytes, OfEnvironment))
        {
            return false;
        }

        if (!ofAddress || address is null || TryTake(address, bytes, OfAddress))
        {
            return true;
        }

        GiveBack(environmentId, bytes);
        return false;
    }

    /// <summary>Gives back what was taken.</summary>
    public void GiveBack(long environmentId, IPAddress? address, long bytes)
    {
        GiveBack(environmentId, bytes);
        if (ofAddress && address is not null)
        {
            GiveBack(address, bytes);
        }
    }

    private bool TryTake(object holder, int bytes, long share)
    {
        if (_held.AddOrUpdate(holder, bytes, (_, held) => held + bytes) <= share)
        {
            return true;
        }

        GiveBack(holder, bytes);
        return false;
    }

    private void GiveBack(object holder, long bytes)
    {
        var left = _held.AddOrUpdate(holder, -bytes, (_, held) => held - bytes);
        if (left == 0)
        {
            // Only if it is still nothing, so that nobody who holds something is forgotten.
            _held.TryRemove(new KeyValuePair<object, long>(holder, 0));
        }
    }
}
