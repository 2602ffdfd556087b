using System.Collections.Concurrent;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Caching.Memory;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>
/// The snapshots of all environments requested so far, by environment key. A request reads memory only. The database is queried once for
/// a new key, and then whenever <see cref="SnapshotRefresher"/> reports a possible change.
/// </summary>
internal sealed class Snapshots(NpgsqlDataSource source, TimeProvider clock, ILogger<Snapshots> logger) : IDisposable
{
    private const string Sql = """
        WITH named AS (
            SELECT id, key FROM environments WHERE key = ANY (@keys) AND deleted_at IS NULL
            UNION ALL
            -- For some time after a rotation, applications may still send the former key.
            SELECT id, former_key FROM environments
            WHERE former_key = ANY (@keys) AND former_key_until > clock_timestamp() AND deleted_at IS NULL
        )
        SELECT n.id AS environment_id, n.key AS environment_key, f.id AS feature_id, f.name AS feature_name,
            COALESCE(f.enabled, false) AS enabled,
               COALESCE(f.multivariate_options <> '[]', false) AS is_multivariate, f.initial_value::text AS initial_value,
               e.id AS experiment_id, e.name AS experiment_name, e.salt, e.rollout_percentage, e.variants::text AS variants,
               e.type AS experiment_type, CASE WHEN e.type = 'web' THEN e.transforms::text END AS transforms,
               h.id AS holdout_id, h.salt AS holdout_salt, h.percentage AS holdout_percentage
        FROM named n
        LEFT JOIN features f ON f.environment_id = n.id AND f.deleted_at IS NULL
        LEFT JOIN experiments e ON e.feature_id = f.id AND e.environment_id = n.id AND e.status = 'running' AND e.deleted_at IS NULL
        LEFT JOIN holdouts h ON h.id = e.holdout_id AND h.environment_id = n.id
        ORDER BY n.id, n.key, f.id
        """;

    // How long an unknown key is cached. Any change clears the cache.
    private static readonly TimeSpan RememberUnknown = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, Snapshot> _known = new(StringComparer.Ordinal);

    // Limited, and separate from the refresh: made-up keys must not delay the refresh of known environments.
    private readonly SemaphoreSlim _asking = new(4);

    // Refreshes run one after the other, so that a later read is never overwritten by an earlier one.
    private readonly SemaphoreSlim _reading = new(1);
    private readonly MemoryCache _unknown = new(new MemoryCacheOptions { SizeLimit = 10_000, Clock = new MonotonicClock(clock) });
    private volatile bool _isCutOff;
    private long _confirmed = clock.GetTimestamp();

    /// <summary>The time since the snapshots were last confirmed to match the database.</summary>
    public TimeSpan Age => clock.GetElapsedTime(Interlocked.Read(ref _confirmed));

    /// <summary>
    /// Whether changes may have been missed, because the connection to the database is lost or the last confirmation is too old.
    /// </summary>
    public bool AreStale => _isCutOff || Age > SnapshotRefresher.Stale;

    /// <summary>Marks the connection to the database as lost. The next full refresh clears the mark.</summary>
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

        if (!await _asking.WaitAsync(Patience, ct))
        {
            throw new TimeoutException("Too many requests for environments that are not cached yet.");
        }

        long found;
        try
        {
            // Another request may have loaded it in the meantime.
            if (Known(environmentKey) is { } meanwhile)
            {
                return meanwhile;
            }

            if ((await Load([environmentKey], ct)).GetValueOrDefault(environmentKey) is not { } snapshot)
            {
                _unknown.Set(
                    environmentKey,
                    true,
                    new MemoryCacheEntryOptions { AbsoluteExpirationRelativeToNow = RememberUnknown, Size = 1 }
                );
                return null;
            }

            found = _known.GetOrAdd(environmentKey, snapshot).EnvironmentId;
        }
        finally
        {
            _asking.Release();
        }

        // A change between that read and now was announced before this environment was known, so refresh it again.
        await Refresh([found], ct);
        return Known(environmentKey);
    }

    /// <summary>Rereads all known environments, or only those with these ids, and replaces the snapshots that have changed.</summary>
    public Task Refresh(IReadOnlyCollection<long>? environmentIds, CancellationToken ct) =>
        Alone(
            async () =>
            {
                var begun = clock.GetTimestamp();
                var keys = _known
                    .Where(known => environmentIds?.Contains(known.Value.EnvironmentId) ?? true)
                    .Select(known => known.Key)
                    .ToArray();
                // Also queried when no environment is known, to check that the database is available.
                var loaded = await Load(keys, ct);
                foreach (var key in keys)
                {
                    if (!loaded.TryGetValue(key, out var snapshot))
                    {
                        // The environment is deleted, or the time of its former key is over.
                        _known.TryRemove(key, out _);
                    }
                    else if (snapshot is not null && _known[key].Fingerprint != snapshot.Fingerprint)
                    {
                        _known[key] = snapshot;
                    }
                }

                _unknown.Clear();
                if (environmentIds is null)
                {
                    Interlocked.Exchange(ref _confirmed, begun);
                    _isCutOff = false;
                }

                return true;
            },
            ct
        );

    public void Dispose()
    {
        _unknown.Dispose();
        _asking.Dispose();
        _reading.Dispose();
    }

    private async Task<T> Alone<T>(Func<Task<T>> read, CancellationToken ct)
    {
        if (!await _reading.WaitAsync(Patience, ct))
        {
            throw new TimeoutException("The database is slow: environments that are not cached yet have to wait.");
        }

        try
        {
            return await read();
        }
        finally
        {
            _reading.Release();
        }
    }

    // A text that cannot be a key needs no query.
    private static bool IsKey(string text) => text.Length <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    // By key; null for an environment that fails.
    private async Task<Dictionary<string, Snapshot?>> Load(string[] keys, CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(Patience);
        return (await new Db(source).Rows<SnapshotRow>(Sql, new { keys }, patience.Token))
            .GroupBy(row => (row.EnvironmentKey, row.EnvironmentId))
            .ToDictionary(rows => rows.Key.EnvironmentKey, rows => Make(rows.Key.EnvironmentId, rows));
    }

    // One environment that fails does not affect the others.
    private Snapshot? Make(long environmentId, IEnumerable<SnapshotRow> rows)
    {
        try
        {
            return new Snapshot(environmentId, rows);
        }
        catch (Exception exception)
            when (exception is System.Text.Json.JsonException or InvalidOperationException or FormatException or ArgumentException)
        {
            logger.SnapshotFailed(exception, environmentId);
            return null;
        }
    }
}
