using System.Collections.Concurrent;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Caching.Memory;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>
/// The snapshots of the environments that have been asked for, by the environment's key. A request reads memory only; the
/// database is asked once for a key that was not seen before, and then whenever <see cref="SnapshotRefresher"/> says that something
/// may have changed.
/// </summary>
internal sealed class Snapshots(NpgsqlDataSource source, TimeProvider clock, ILogger<Snapshots> logger) : IDisposable
{
    private const string Sql = """
        SELECT n.id AS environment_id, n.key AS environment_key, f.id AS feature_id, f.name AS feature_name,
            COALESCE(f.enabled, false) AS enabled,
               COALESCE(f.multivariate_options <> '[]', false) AS is_multivariate, f.initial_value::text AS initial_value,
               e.id AS experiment_id, e.name AS experiment_name, e.salt, e.rollout_percentage, e.variants::text AS variants,
               e.type AS experiment_type, CASE WHEN e.type = 'web' THEN e.transforms::text END AS transforms,
               h.id AS holdout_id, h.salt AS holdout_salt, h.percentage AS holdout_percentage
        FROM environments n
        LEFT JOIN features f ON f.environment_id = n.id AND f.deleted_at IS NULL
        LEFT JOIN experiments e ON e.feature_id = f.id AND e.environment_id = n.id AND e.status = 'running' AND e.deleted_at IS NULL
        LEFT JOIN holdouts h ON h.id = e.holdout_id AND h.environment_id = n.id
        WHERE n.key = ANY (@keys)
        ORDER BY n.id, f.id
        """;

    // How long a key that no environment has is not asked for again. A change anywhere makes it be asked for at once.
    private static readonly TimeSpan RememberUnknown = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, Snapshot> _known = new(StringComparer.Ordinal);

    // Few at a time, and apart from the others: whoever makes up keys must not keep those that are known from being read anew.
    private readonly SemaphoreSlim _asking = new(4);

    // Readings of the database follow one another, so that what was read later also stands later.
    private readonly SemaphoreSlim _reading = new(1);
    private readonly MemoryCache _unknown = new(new MemoryCacheOptions { SizeLimit = 10_000, Clock = new ElapsedTime(clock) });
    private volatile bool _isCutOff;
    private long _confirmed = clock.GetTimestamp();

    /// <summary>How long ago the snapshots were last known to be what the database holds.</summary>
    public TimeSpan Age => clock.GetElapsedTime(Interlocked.Read(ref _confirmed));

    /// <summary>Whether changes may have been missed: nothing is heard from the database, or has not been for too long.</summary>
    public bool AreStale => _isCutOff || Age > SnapshotRefresher.Stale;

    /// <summary>Says that nothing is heard from the database any more; the next reading of everything takes it back.</summary>
    public void CutOff() => _isCutOff = true;

    /// <summary>The snapshot of an environment that has been asked for before; costs nothing.</summary>
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
            throw new TimeoutException("Too many ask for environments that were not asked for before.");
        }

        long found;
        try
        {
            // Another request may have been first.
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

        // What changed between the reading and now was announced to nobody who knew of this environment.
        await Refresh([found], ct);
        return Known(environmentKey);
    }

    /// <summary>Reads all known environments anew, or only those with these ids, and replaces what has changed.</summary>
    public Task Refresh(IReadOnlyCollection<long>? environmentIds, CancellationToken ct) =>
        Alone(
            async () =>
            {
                var begun = clock.GetTimestamp();
                var keys = _known
                    .Where(known => environmentIds?.Contains(known.Value.EnvironmentId) ?? true)
                    .Select(known => known.Key)
                    .ToArray();
                // Also asked when nothing is known, to hear whether the database is there.
                foreach (var (key, snapshot) in await Load(keys, ct))
                {
                    if (_known[key].Fingerprint != snapshot.Fingerprint)
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
            throw new TimeoutException("The database is slow: environments that were not asked for before have to wait.");
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

    // What no key looks like needs no asking.
    private static bool IsKey(string text) => text.Length <= 64 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private async Task<Dictionary<string, Snapshot>> Load(string[] keys, CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(Patience);
        return (await new Db(source).Rows<SnapshotRow>(Sql, new { keys }, patience.Token))
            .GroupBy(row => (row.EnvironmentKey, row.EnvironmentId))
            .Select(rows => (Key: rows.Key.EnvironmentKey, Snapshot: Make(rows.Key.EnvironmentId, rows)))
            .Where(made => made.Snapshot is not null)
            .ToDictionary(made => made.Key, made => made.Snapshot!);
    }

    // One environment that cannot be served keeps no other from it.
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
