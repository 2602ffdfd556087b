using System.Collections.Concurrent;
using Experiments.Api.Platform;
using Microsoft.Extensions.Caching.Memory;

namespace Experiments.Api.Evaluation;

/// <summary>
/// The snapshots of all environments requested so far, by environment key. A request reads memory only. The database is queried once for
/// a new key, and then whenever <see cref="SnapshotRefresher"/> reports a possible change.
/// </summary>
internal sealed class Snapshots(SnapshotReader reader, TimeProvider clock) : IDisposable
{
    /// <summary>How many requests may read an environment that is not cached at the same time.</summary>
    public const int Asking = 4;

    // How many environments one reading has.
    private const int Page = 500;

    // The database remembers changes for an hour. After half of it, everything is read again.
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(30);

    // How long an unknown key is cached. Any change clears the cache.
    private static readonly TimeSpan RememberUnknown = TimeSpan.FromSeconds(10);

    private readonly ConcurrentDictionary<string, Snapshot> _known = new(StringComparer.Ordinal);

    // Limited, and separate from the refresh: made-up keys must not delay the refresh of known environments.
    private readonly SemaphoreSlim _asking = new(Asking);

    // Readings run one after the other, so that a later read is never overwritten by an earlier one.
    private readonly SemaphoreSlim _reading = new(1);
    private readonly MemoryCache _unknown = new(new MemoryCacheOptions { SizeLimit = 10_000, Clock = new MonotonicClock(clock) });
    private volatile bool _isCutOff;
    private long _confirmed = clock.GetTimestamp();

    // What was committed by then is known. Null: everything has to be read.
    private string? _moment;

    /// <summary>Raised with the key of an environment that serves something else from now on, or nothing any more.</summary>
    public event Action<string>? Replaced;

    /// <summary>The time since the snapshots were last confirmed to match the database.</summary>
    public TimeSpan Age => clock.GetElapsedTime(Interlocked.Read(ref _confirmed));

    /// <summary>
    /// Whether changes may have been missed, because the connection to the database is lost or the last confirmation is too old.
    /// </summary>
    public bool AreStale => _isCutOff || Age > SnapshotRefresher.Stale;

    /// <summary>Marks the connection to the database as lost. It may be another database afterwards, so everything is read again.</summary>
    public void CutOff() => _isCutOff = true;

    /// <summary>The snapshot of an environment that was requested before; reads memory only.</summary>
    public Snapshot? Known(string environmentKey) => _known.GetValueOrDefault(environmentKey);

    /// <summary>The snapshot of an environment, or null when no environment has this key.</summary>
    public async ValueTask<Snapshot?> Find(string environmentKey, CancellationToken ct)
    {
        if (Known(environmentKey) is { } known)
        {
            return known;
        }

        if (!IsKey(environmentKey) || _unknown.TryGetValue(environmentKey, out _))
        {
            return null;
        }

        if (!await _asking.WaitAsync(SnapshotReader.Patience, ct))
        {
            throw new TimeoutException("Too many requests for environments that are not cached yet.");
        }

        try
        {
            // Another request may have loaded it in the meantime.
            if (Known(environmentKey) is { } meanwhile)
            {
                return meanwhile;
            }

            if ((await reader.Read([environmentKey], ct)).GetValueOrDefault(environmentKey) is not { } snapshot)
            {
                _unknown.Set(
                    environmentKey,
                    true,
                    new MemoryCacheEntryOptions { AbsoluteExpirationRelativeToNow = RememberUnknown, Size = 1 }
                );
                return null;
            }

            _known.TryAdd(environmentKey, snapshot);
        }
        finally
        {
            _asking.Release();
        }

        // A change between that read and now was announced before this environment was known, so refresh it again, even if nobody waits
        // for it any more.
        try
        {
            await Reread([environmentKey], CancellationToken.None);
        }
        catch
        {
            _known.TryRemove(environmentKey, out _);
            throw;
        }

        return Known(environmentKey);
    }

    /// <summary>Rereads the environments with these ids.</summary>
    public async Task Refresh(IReadOnlySet<long> environmentIds, CancellationToken ct)
    {
        await Reread(KeysOf(snapshot => environmentIds.Contains(snapshot.EnvironmentId)), ct);
        _unknown.Clear();
    }

    /// <summary>
    /// Rereads the environments that have changed since the last call, or all of them if that cannot be known. Calls must not overlap.
    /// </summary>
    public async Task CatchUp(CancellationToken ct)
    {
        var begun = clock.GetTimestamp();
        var since = _isCutOff || Age > Remembered ? null : _moment;
        var changes = await reader.ChangedSince(since, ct);
        var everything = since is null || changes.IsEarlier;
        var changed = changes.Environments.ToHashSet();
        await Reread(KeysOf(snapshot => everything || changed.Contains(snapshot.EnvironmentId) || snapshot.ExpiresAt <= changes.Now), ct);
        if (everything || changed.Count > 0)
        {
            _unknown.Clear();
        }

        _moment = changes.Moment;
        Interlocked.Exchange(ref _confirmed, begun);
        _isCutOff = false;
    }

    public void Dispose()
    {
        _unknown.Dispose();
        _asking.Dispose();
        _reading.Dispose();
    }

    private string[] KeysOf(Func<Snapshot, bool> chosen) => [.. _known.Where(known => chosen(known.Value)).Select(known => known.Key)];

    // In pages, so that a new environment does not have to wait for all of them.
    private async Task Reread(string[] keys, CancellationToken ct)
    {
        foreach (var page in keys.Chunk(Page))
        {
            if (!await _reading.WaitAsync(SnapshotReader.Patience, ct))
            {
                throw new TimeoutException("The database is slow: environments that are not cached yet have to wait.");
            }

            try
            {
                Replace(page, await reader.Read(page, ct));
            }
            finally
            {
                _reading.Release();
            }
        }
    }

    private void Replace(string[] keys, Dictionary<string, Snapshot?> read)
    {
        foreach (var key in keys)
        {
            if (!read.TryGetValue(key, out var snapshot))
            {
                // The environment is deleted, or the time of its former key is over.
                _known.TryRemove(key, out _);
                Replaced?.Invoke(key);
            }
            else if (snapshot is not null && _known.TryGetValue(key, out var known) && known.Fingerprint != snapshot.Fingerprint)
            {
                _known[key] = snapshot;
                Replaced?.Invoke(key);
            }
        }
    }

    // A text that cannot be a key needs no query.
    private static bool IsKey(string text) => text.Length <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}
