using System.Globalization;

namespace Experiments.Api.ClickHouse;

/// <summary>The tables in ClickHouse.</summary>
internal sealed class ClickHouseSchema
{
    /// <summary>Of what would be negative otherwise: a batch is this minus its version.</summary>
    public const long LastBatch = long.MaxValue;

    /// <summary>Their names.</summary>
    public static readonly string[] Tables = ["events", "arrivals"];

    private readonly string? _path;
    private readonly string _replica;

    private ClickHouseSchema(string shard, string? path, string replica) => (Shard, _path, _replica) = (shard, path, replica);

    /// <summary>Which of how many shards it is, as its tables say. Those of another one would have other identities.</summary>
    public string Shard { get; }

    /// <summary>Whether every replica has every row.</summary>
    public bool IsReplicated => _path is not null;

    /// <summary>Tables of one server, or of a service that replicates them itself.</summary>
    /// <param name="shard">Which of how many shards it is.</param>
    public static ClickHouseSchema Single(string shard) => new(shard, null, "");

    /// <summary>Tables that replicas keep alike through ClickHouse Keeper or ZooKeeper, below a path of their own.</summary>
    /// <param name="address">The shard.</param>
    /// <param name="cluster">The name of the cluster.</param>
    /// <param name="replica">The name of this replica, which no other of the shard has.</param>
    public static ClickHouseSchema Replicated(ShardAddress address, string cluster, string replica) =>
        new(
            address.Name,
            string.Create(CultureInfo.InvariantCulture, $"/experiments/{cluster}/{address.Database}/{address.Number}"),
            replica
        );

    /// <summary>The path below which the replicas of a table keep it alike.</summary>
    public string PathOf(string table) => $"{_path}/{table}";

    /// <summary>
    /// What makes the tables. An event has one row by environment, name, identity and key, however often it was sent: of several, that
    /// of the earliest batch counts. The key is a hash of the id, wherever the event lies in time, or else of the content; then
    /// <c>content_at</c> is its timestamp. <c>skew</c> is what is added to <c>at</c>, in microseconds, to tell when it happened. An
    /// erased event leaves a row that says nothing but that. <c>arrivals</c> tells which identities a batch concerns, until it has been
    /// counted, by the days in which batches came.
    /// </summary>
    public string[] Statements =>
        [
            $"""
                CREATE TABLE IF NOT EXISTS events (
                    environment_id Int64,
                    event LowCardinality(String),
                    identity UUID,
                    key Int64 CODEC(ZSTD(1)),
                    content_at Int64 CODEC(DoubleDelta, ZSTD(1)),
                    at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
                    skew Int64 CODEC(ZSTD(1)),
                    version UInt64 CODEC(ZSTD(1)),
                    feature_name LowCardinality(Nullable(String)),
                    identifier Nullable(String) CODEC(ZSTD(1)),
                    value Nullable(String) CODEC(ZSTD(1)),
                    traits Nullable(String) CODEC(ZSTD(1)),
                    metadata Nullable(String) CODEC(ZSTD(1)),
                    is_erased UInt8 CODEC(ZSTD(1))
                )
                ENGINE = {Engine("events", "Replacing", "version, is_erased")}
                PARTITION BY toYYYYMM(at)
                ORDER BY (environment_id, event, identity, key, content_at)
                SETTINGS index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1
                {Comment}
                """,
            $"""
                CREATE TABLE IF NOT EXISTS arrivals (
                    environment_id Int64,
                    batch Int64,
                    event LowCardinality(String),
                    identity UUID
                )
                ENGINE = {Engine("arrivals", "", "")}
                PARTITION BY intDiv(bitShiftRight(batch, 20), 86400000)
                ORDER BY (environment_id, batch, event)
                SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
                {Comment}
                """,
        ];

    private string Comment => $"COMMENT '{Shard}'";

    private string Engine(string table, string kind, string arguments) =>
        IsReplicated
            ? $"Replicated{kind}MergeTree('{PathOf(table)}', '{_replica}'{(arguments.Length > 0 ? ", " : "")}{arguments})"
            : $"{kind}MergeTree({arguments})";
}
