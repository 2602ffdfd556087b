using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>Reads snapshots from the database, and which environments have changed.</summary>
internal sealed class SnapshotReader(DatabaseServer database, ILogger<SnapshotReader> logger) : IAsyncDisposable
{
    private const string Sql = """
        WITH named AS (
            SELECT id, key, NULL::timestamptz AS until, kept_traits FROM environments
            WHERE key = ANY (@keys) AND deleted_at IS NULL
            UNION ALL
            -- For some time after a rotation, applications may still send the former key.
            SELECT id, former_key, former_key_until, kept_traits FROM environments
            WHERE former_key = ANY (@keys) AND former_key_until > clock_timestamp() AND deleted_at IS NULL
        )
        SELECT n.id AS environment_id, n.key AS environment_key, n.until AS expires_at, to_json(n.kept_traits)::text AS kept_traits,
            f.id AS feature_id, f.name AS feature_name,
            COALESCE(s.enabled, false) AS enabled,
               COALESCE(f.options <> '[]', false) AS is_multivariate, s.initial_value::text AS initial_value,
               CASE WHEN s.percentages <> '{}' AND NOT EXISTS (SELECT FROM experiments p WHERE p.environment_id = s.environment_id
                       AND p.feature_id = s.feature_id AND p.status IN ('running', 'paused') AND p.deleted_at IS NULL)
                   THEN options_here(f.options, s.percentages)::text END AS options,
               COALESCE(CASE WHEN s.held_by IS NULL THEN s.initial_value ELSE s.held_value END, 'null')::text AS held_value,
               e.id AS experiment_id, e.name AS experiment_name, e.salt, e.rollout_percentage, e.variants::text AS variants,
               e.type AS experiment_type, CASE WHEN e.type = 'web' THEN e.transforms::text END AS transforms,
               h.id AS holdout_id, h.salt AS holdout_salt, h.percentage AS holdout_percentage,
               NULLIF(e.unit_key, '') AS unit_key, NULLIF(h.unit_key, '') AS holdout_unit_key, e.hashing
        FROM named n
        LEFT JOIN (feature_states s JOIN features f ON f.id = s.feature_id AND f.deleted_at IS NULL) ON s.environment_id = n.id
        LEFT JOIN experiments e ON e.feature_id = f.id AND e.environment_id = n.id AND e.status = 'running' AND e.deleted_at IS NULL
        LEFT JOIN holdouts h ON h.id = COALESCE(e.holdout_id, s.held_by) AND h.environment_id = n.id
        ORDER BY n.id, n.key, f.id
        """;

    private const string KeySql = "SELECT key FROM environments WHERE id = @environmentId AND deleted_at IS NULL";

    // What had committed by the last moment is left out, however long other transactions have been running.
    private const string ChangesSql = """
        SELECT pg_current_snapshot()::text AS moment, clock_timestamp() AS now,
               COALESCE(pg_snapshot_xmax(pg_current_snapshot()) < pg_snapshot_xmin(@since::pg_snapshot), false) AS is_earlier,
               ARRAY(
                   SELECT DISTINCT environment_id FROM serving_changes
                   WHERE transaction_id >= pg_snapshot_xmin(@since::pg_snapshot)
                     AND NOT pg_visible_in_snapshot(transaction_id, @since::pg_snapshot)) AS environments
        """;

    /// <summary>How long one reading may take.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    // For the refresh, and for requests with keys that are not cached: as many again may have been given up, with a statement that runs on.
    private readonly NpgsqlDataSource _source = DatabaseSetup.Reserved(database, "flags", 2 + (2 * Snapshots.Asking), Patience);

    public ValueTask DisposeAsync() => _source.DisposeAsync();

    /// <summary>What an environment serves, as rows; none if it is gone. Read on the connections of requests.</summary>
    public static async Task<IReadOnlyList<SnapshotRow>> Rows(Db db, long environmentId, CancellationToken ct) =>
        await db.Row<string>(KeySql, new { environmentId }, ct) is { } key
            ? await db.Rows<SnapshotRow>(Sql, new { keys = new[] { key } }, ct)
            : [];

    /// <summary>The environments that have these keys. The value is null for one that fails.</summary>
    public async Task<Dictionary<string, Snapshot?>> Read(IReadOnlyCollection<string> keys, CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(Patience);
        return (await new Db(_source).Rows<SnapshotRow>(Sql, new { keys = keys.ToArray() }, patience.Token))
            .GroupBy(row => (row.EnvironmentKey, row.EnvironmentId))
            .ToDictionary(rows => rows.Key.EnvironmentKey, rows => Make(rows.Key.EnvironmentId, [.. rows]));
    }

    /// <summary>
    /// The environments that have changed since a moment that this returned before; none without one. A transaction that was running at
    /// that moment counts as later.
    /// </summary>
    public async Task<Changes> ChangedSince(string? moment, CancellationToken ct)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ct);
        patience.CancelAfter(Patience);
        return (await new Db(_source).Row<Changes>(ChangesSql, new { since = moment }, patience.Token))!;
    }

    // One environment that fails does not affect the others.
    private Snapshot? Make(long environmentId, IReadOnlyCollection<SnapshotRow> rows)
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

    internal sealed record Changes
    {
        /// <summary>Which transactions had ended when this was read, as PostgreSQL writes it.</summary>
        public string Moment { get; init; } = "";

        /// <summary>What time it is for the database.</summary>
        public DateTime Now { get; init; }

        /// <summary>Whether this is before the given moment, so that it is another database, restored or promoted.</summary>
        public bool IsEarlier { get; init; }

        /// <summary>Ids of environments.</summary>
        public long[] Environments { get; init; } = [];
    }
}
