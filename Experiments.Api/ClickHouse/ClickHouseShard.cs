using System.Data.Common;
using ClickHouse.Driver;
using ClickHouse.Driver.ADO;
using ClickHouse.Driver.ADO.Parameters;
using ClickHouse.Driver.ADO.Readers;
using ClickHouse.Driver.Compression;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// One shard of the events, over HTTP: one server, or several replicas, of which one is asked until it cannot be reached. Every failure is
/// an <see cref="EventStoreUnavailableException"/>.
/// </summary>
internal sealed class ClickHouseShard : IDisposable
{
    /// <summary>How long writing a batch may take, there and on the way.</summary>
    public static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(30);

    // All events of a large experiment are read by one query.
    private static readonly TimeSpan ReadLimit = TimeSpan.FromMinutes(30);

    // The server ends what takes longer. One that has stopped without a word does not.
    private static readonly TimeSpan LongestRead = ReadLimit + TimeSpan.FromMinutes(1);

    // How often replicas that have no tables yet are asked to make them, in milliseconds, and how long the first write waits for that.
    private const long JoinAgain = 30_000;
    private static readonly TimeSpan JoinPatience = TimeSpan.FromSeconds(5);

    // Of several, one that does not answer is left early enough to ask the others.
    private const int MostAsked = 3;

    /// <summary>Errors of one replica, that another one may not have.</summary>
    internal static readonly HashSet<int> ReplicaErrors =
    [
        60, // UNKNOWN_TABLE
        81, // UNKNOWN_DATABASE
        202, // TOO_MANY_SIMULTANEOUS_QUERIES
        209, // SOCKET_TIMEOUT
        210, // NETWORK_ERROR
        225, // NO_ZOOKEEPER
        236, // ABORTED
        242, // TABLE_IS_READ_ONLY
        243, // NOT_ENOUGH_SPACE
        253, // REPLICA_ALREADY_EXISTS
        279, // ALL_CONNECTION_TRIES_FAILED
        285, // TOO_FEW_LIVE_REPLICAS
        286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        289, // REPLICA_IS_NOT_IN_QUORUM
        319, // UNKNOWN_STATUS_OF_INSERT
        394, // QUERY_WAS_CANCELLED
        999, // KEEPER_EXCEPTION
    ];

    private readonly string _name;
    private readonly ClickHouseReplica[] _replicas;
    private readonly HttpClient _http;
    private readonly bool _isReplicated;
    private readonly IClickHouseCompressor? _compressor;
    private readonly TimeSpan _writeAttempt;
    private readonly ILogger? _logger;
    private int _current;
    private long _joinedAt = -JoinAgain;

    /// <param name="address">Where it is.</param>
    /// <param name="cluster">The name under which its replicas keep their tables alike; null where ClickHouse does that itself.</param>
    /// <param name="logger">Told of a replica that cannot be used.</param>
    /// <param name="writeAttempt">How long one of several may take to write, if not a share of <see cref="WriteLimit"/>.</param>
    public ClickHouseShard(ShardAddress address, string? cluster, ILogger? logger, TimeSpan? writeAttempt)
    {
        _name = address.Name;
        _logger = logger;
        _http = ClickHouseHttp.Client();
        // The driver compresses what it inserts whatever its connection string says.
        var compresses = new ClickHouseClientSettings(address.Replicas[0].ConnectionString).UseCompression;
        _compressor = compresses ? new InsertOptions().Compressor : null;
        _isReplicated = cluster is not null;
        _replicas =
        [
            .. address.Replicas.Select(replica =>
            {
                var settings = new ClickHouseClientSettings(replica.ConnectionString) { HttpClient = _http, Timeout = ReadLimit };
                var schema = cluster is null
                    ? ClickHouseSchema.Single(address.Name)
                    : ClickHouseSchema.Replicated(address, cluster, replica.Name);
                var client = new ClickHouseClient(settings);
                client.RegisterBinaryInsertType<ClickHouseArrival>();
                client.RegisterBinaryInsertType<ClickHouseEvent>();
                return new ClickHouseReplica(replica.Name, client, schema, settings.Database);
            }),
        ];
        _writeAttempt = writeAttempt ?? (_replicas.Length == 1 ? WriteLimit : WriteLimit / MostAsked);
    }

    /// <summary>Changes something, any number of times to the same result.</summary>
    public Task Execute(string sql, IReadOnlyDictionary<string, object>? parameters, CancellationToken ct) =>
        Reached(
            (client, limited) => client.ExecuteNonQueryAsync(sql, Of(parameters), Options(), limited).WaitAsync(limited),
            new(LongestRead, CatchesUp: true, () => true),
            ct
        );

    /// <summary>Reads rows, one at a time: of everything that was written before.</summary>
    public Task Read(string sql, IReadOnlyDictionary<string, object>? parameters, Action<ClickHouseDataReader> take, CancellationToken ct)
    {
        var hasBegun = false;
        return Reached(
            async (client, limited) =>
            {
                using var reader = await client.ExecuteReaderAsync(sql, Of(parameters), Options(), limited).WaitAsync(limited);
                while (await reader.ReadAsync(limited).WaitAsync(limited))
                {
                    limited.ThrowIfCancellationRequested();
                    hasBegun = true;
                    take(reader);
                }

                return true;
            },
            // What was taken from one is not taken again from another.
            new(LongestRead, CatchesUp: true, () => !hasBegun),
            ct
        );
    }

    /// <summary>
    /// Writes rows as one block, to most of the replicas. Of a block of several months, some may be stored although it fails.
    /// </summary>
    public Task Insert<T>(string table, IReadOnlyCollection<T> rows, CancellationToken ct)
        where T : class, IShardRow =>
        Reached(
            (client, limited) =>
                client
                    .InsertBinaryAsync(
                        table,
                        rows,
                        new()
                        {
                            BatchSize = Math.Max(1, rows.Count),
                            MaxDegreeOfParallelism = 1,
                            Compressor = _compressor,
                            CustomSettings = new Dictionary<string, object>(Quorum)
                            {
                                ["max_execution_time"] = (int)WriteLimit.TotalSeconds,
                                // An answer means that they are stored.
                                ["async_insert"] = 0,
                                ["max_partitions_per_insert_block"] = 0,
                            },
                        },
                        limited
                    )
                    .WaitAsync(limited),
            new(_writeAttempt, CatchesUp: false, () => true),
            ct
        );

    public void Dispose()
    {
        foreach (var replica in _replicas)
        {
            replica.Dispose();
        }

        _http.Dispose();
    }

    // Each replica that cannot do it is followed by the next, which is asked first from then on; the first that hangs up is asked again.
    // The driver does not hear of a cancelled token while it waits for the answer to what it has inserted, so whoever waits for it stops
    // waiting.
    private async Task<T> Reached<T>(Func<ClickHouseClient, CancellationToken, Task<T>> work, Attempt attempt, CancellationToken ct)
    {
        for (var (asked, mayHangUp) = (1, true); ; asked++)
        {
            var (current, isReady) = (Volatile.Read(ref _current), false);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
            limit.CancelAfter(attempt.Limit);
            try
            {
                var replica = _replicas[current];
                await replica.MakeTables(Options(), limit.Token);
                await Join(ct);
                if (attempt.CatchesUp)
                {
                    await replica.CatchUp(Options(), limit.Token);
                }

                isReady = true;
                return await work(replica.Client, limit.Token);
            }
            catch (Exception exception)
                when (exception is DbException and not NpgsqlException or HttpRequestException or IOException or OperationCanceledException)
            {
                ct.ThrowIfCancellationRequested();
                if (mayHangUp && HasHungUp(exception) && attempt.MayRepeat())
                {
                    (mayHangUp, asked) = (false, asked - 1);
                    continue;
                }

                var isRefusal = isReady && exception is ClickHouseServerException refused && !ReplicaErrors.Contains(refused.ErrorCode);
                if (!isRefusal && Interlocked.CompareExchange(ref _current, (current + 1) % _replicas.Length, current) == current)
                {
                    _logger?.ReplicaAway(_replicas[current].Name, exception.Message.Split('\n')[0]);
                }

                if (isRefusal || asked == _replicas.Length || !attempt.MayRepeat())
                {
                    var said = exception is OperationCanceledException ? "no answer in time" : exception.Message.Split('\n')[0];
                    throw new EventStoreUnavailableException($"ClickHouse, {_name}: {said}", exception, isRefusal);
                }
            }
        }
    }

    // A server closes connections that rest, also at the very moment at which one of them is used again.
    private static bool HasHungUp(Exception exception) => exception is HttpRequestException { InnerException: IOException };

    // A replica counts for the quorum from when it has its tables, so all get them, also one that comes later.
    private async Task Join(CancellationToken ct)
    {
        if (!_isReplicated)
        {
            return;
        }

        var (now, last) = (Environment.TickCount64, Volatile.Read(ref _joinedAt));
        if (now - last > JoinAgain && Interlocked.CompareExchange(ref _joinedAt, now, last) == last)
        {
            await Task.WhenAny(Task.WhenAll(_replicas.Select(MakeTables)), Task.Delay(JoinPatience, ct));
        }

        async Task MakeTables(ClickHouseReplica replica)
        {
            try
            {
                await replica.MakeTables(Options(), CancellationToken.None);
            }
            catch (Exception exception) when (exception is not ObjectDisposedException)
            {
                _logger?.ReplicaAway(replica.Name, exception.Message.Split('\n')[0]);
            }
        }
    }

    // Most replicas have what was acknowledged, so that it outlives one of them.
    private Dictionary<string, object> Quorum =>
        _isReplicated
            ? new()
            {
                ["insert_quorum"] = "auto",
                ["insert_quorum_parallel"] = 1,
                // So early that another one can be asked.
                ["insert_quorum_timeout"] = (int)(_writeAttempt * 0.8).TotalMilliseconds,
            }
            : [];

    // What profiles of the server may set otherwise, and what depends on it that each event counts once.
    private QueryOptions Options() =>
        new()
        {
            CustomSettings = new Dictionary<string, object>(Quorum)
            {
                // Identities and batches are lists in the query, which is longer than one may be by default.
                ["max_query_size"] = 64 << 20,
                ["max_ast_elements"] = 2_000_000,
                ["max_expanded_ast_elements"] = 2_000_000,
                ["max_execution_time"] = (int)ReadLimit.TotalSeconds,
                ["cancel_http_readonly_queries_on_client_close"] = 1,
                ["do_not_merge_across_partitions_select_final"] = 0,
                // Of a service that replicates by itself; here, a replica catches up before it is read.
                ["select_sequential_consistency"] = _isReplicated ? 0 : 1,
                // Other replicas remove rows a little later, or when they are back. Until then, the rows that say "erased" hide them.
                ["lightweight_deletes_sync"] = _isReplicated ? 1 : 2,
            },
        };

    private static ClickHouseParameterCollection Of(IReadOnlyDictionary<string, object>? parameters)
    {
        var collection = new ClickHouseParameterCollection();
        foreach (var (name, value) in parameters ?? new Dictionary<string, object>())
        {
            collection.Add(new ClickHouseDbParameter { ParameterName = name, Value = value });
        }

        return collection;
    }

    /// <summary>How one replica is asked.</summary>
    /// <param name="Limit">How long it may take.</param>
    /// <param name="CatchesUp">Whether it must have what others have acknowledged.</param>
    /// <param name="MayRepeat">Whether another may be asked after it failed.</param>
    private sealed record Attempt(TimeSpan Limit, bool CatchesUp, Func<bool> MayRepeat);
}
