using System.Data.Common;
using System.Net;
using System.Net.Sockets;
using ClickHouse.Driver;
using ClickHouse.Driver.ADO;
using ClickHouse.Driver.ADO.Parameters;
using ClickHouse.Driver.ADO.Readers;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// The ClickHouse of the service, over HTTP: one server, or several replicas, of which one is asked until it cannot be reached. Every
/// failure is an <see cref="EventStoreUnavailableException"/>.
/// </summary>
internal sealed class ClickHouseServer : IDisposable
{
    /// <summary>How long writing a batch may take, there and on the way.</summary>
    public static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(30);

    // All events of a large experiment are read by one query.
    private static readonly TimeSpan ReadLimit = TimeSpan.FromMinutes(30);

    // How often replicas that have no tables yet are asked to make them, in milliseconds.
    private const long JoinAgain = 30_000;

    private readonly ClickHouseReplica[] _replicas;
    private readonly HttpClient _http;
    private readonly bool _isReplicated;
    private int _current;
    private long _joinedAt = -JoinAgain;

    /// <param name="connectionString">Where it is; of replicas, <c>Host</c> has them all, between commas.</param>
    /// <param name="cluster">The name under which they keep their tables alike; null if they have one server, or do it themselves.</param>
    public ClickHouseServer(string connectionString, string? cluster = null)
    {
        _http = new(
            new SocketsHttpHandler
            {
                AutomaticDecompression = DecompressionMethods.All,
                PooledConnectionIdleTimeout = TimeSpan.FromSeconds(5),
                ConnectTimeout = TimeSpan.FromSeconds(5),
                ConnectCallback = Connect,
            }
        )
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _isReplicated = cluster is not null;
        _replicas =
        [
            .. ClickHouseAddresses
                .Of(connectionString)
                .Select(address =>
                {
                    var settings = new ClickHouseClientSettings(address.ConnectionString) { HttpClient = _http, Timeout = ReadLimit };
                    var schema = cluster is null
                        ? ClickHouseSchema.Single
                        : ClickHouseSchema.Replicated(cluster, settings.Database, address.Name);
                    return new ClickHouseReplica(new(settings), schema, settings.Database);
                }),
        ];
    }

    /// <summary>Changes something, any number of times to the same result.</summary>
    public Task Execute(string sql, IReadOnlyDictionary<string, object> parameters, CancellationToken ct) =>
        Reached(
            async replica =>
            {
                await replica.CatchUp(Options(), ct);
                return await replica.Client.ExecuteNonQueryAsync(sql, Of(parameters), Options(), ct);
            },
            () => true,
            ct
        );

    /// <summary>Reads rows, one at a time: of everything that was written before.</summary>
    public Task Read(string sql, IReadOnlyDictionary<string, object> parameters, Action<ClickHouseDataReader> take, CancellationToken ct)
    {
        var hasBegun = false;
        return Reached(
            async replica =>
            {
                await replica.CatchUp(Options(), ct);
                using var reader = await replica.Client.ExecuteReaderAsync(sql, Of(parameters), Options(), ct);
                while (await reader.ReadAsync(ct))
                {
                    ct.ThrowIfCancellationRequested();
                    hasBegun = true;
                    take(reader);
                }

                return true;
            },
            // What was taken from one is not taken again from another.
            () => !hasBegun,
            ct
        );
    }

    /// <summary>Reads one row.</summary>
    public async Task<T> Single<T>(
        string sql,
        IReadOnlyDictionary<string, object> parameters,
        Func<ClickHouseDataReader, T> of,
        CancellationToken ct
    )
    {
        var value = default(T);
        await Read(sql, parameters, row => value = of(row), ct);
        return value!;
    }

    /// <summary>
    /// Writes rows as one block, to most of the replicas. Of a block of several months, some may be stored although it fails.
    /// </summary>
    public Task Insert(string table, string[] columns, IReadOnlyCollection<object?[]> rows, CancellationToken ct) =>
        Reached(
            replica =>
                replica.Client.InsertBinaryAsync(
                    table,
                    columns,
                    rows!,
                    new()
                    {
                        BatchSize = Math.Max(1, rows.Count),
                        MaxDegreeOfParallelism = 1,
                        CustomSettings = new Dictionary<string, object>(Quorum)
                        {
                            ["max_execution_time"] = (int)WriteLimit.TotalSeconds,
                            // An answer means that they are stored.
                            ["async_insert"] = 0,
                            ["max_partitions_per_insert_block"] = 0,
                        },
                    },
                    ct
                ),
            () => true,
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

    // Each replica that cannot do it is followed by the next, which is asked first from then on.
    private async Task<T> Reached<T>(Func<ClickHouseReplica, Task<T>> work, Func<bool> mayRepeat, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            var current = Volatile.Read(ref _current);
            try
            {
                var replica = _replicas[current];
                await replica.MakeTables(Options(), ct);
                Join();
                return await work(replica);
            }
            catch (Exception exception)
                when (exception is DbException and not NpgsqlException or HttpRequestException or IOException or OperationCanceledException)
            {
                ct.ThrowIfCancellationRequested();
                var isRefusal = exception is ClickHouseServerException refused && !ReplicaErrors.Contains(refused.ErrorCode);
                if (!isRefusal)
                {
                    Interlocked.CompareExchange(ref _current, (current + 1) % _replicas.Length, current);
                }

                if (isRefusal || attempt == _replicas.Length || !mayRepeat())
                {
                    throw new EventStoreUnavailableException($"ClickHouse: {exception.Message.Split('\n')[0]}", exception, isRefusal);
                }
            }
        }
    }

    // A replica counts for the quorum from when it has its tables, so all get them, also one that comes later.
    private void Join()
    {
        var now = Environment.TickCount64;
        var last = Volatile.Read(ref _joinedAt);
        if (_isReplicated && now - last > JoinAgain && Interlocked.CompareExchange(ref _joinedAt, now, last) == last)
        {
            foreach (var replica in _replicas)
            {
                _ = replica
                    .MakeTables(Options(), CancellationToken.None)
                    .ContinueWith(static made => made.Exception, TaskScheduler.Default);
            }
        }
    }

    // What another replica may do: no keeper, a table that can only be read, too few replicas, a quorum that is not there or not known.
    internal static readonly HashSet<int> ReplicaErrors = [209, 210, 225, 242, 279, 285, 286, 289, 319, 999];

    // A server that is lost is noticed after half a minute, although nothing is sent to it.
    private static async ValueTask<Stream> Connect(SocketsHttpConnectionContext context, CancellationToken ct)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 4);
            await socket.ConnectAsync(context.DnsEndPoint, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // Most replicas have what was acknowledged, so that it outlives one of them.
    private Dictionary<string, object> Quorum =>
        _isReplicated
            ? new()
            {
                ["insert_quorum"] = "auto",
                ["insert_quorum_parallel"] = 1,
                ["insert_quorum_timeout"] = (int)WriteLimit.TotalMilliseconds,
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
                // Rows are removed from a replica that is away when it is back; until then, it is not read before it has caught up.
                ["lightweight_deletes_sync"] = _isReplicated ? 1 : 2,
            },
        };

    private static ClickHouseParameterCollection Of(IReadOnlyDictionary<string, object> parameters)
    {
        var collection = new ClickHouseParameterCollection();
        foreach (var (name, value) in parameters)
        {
            collection.Add(new ClickHouseDbParameter { ParameterName = name, Value = value });
        }

        return collection;
    }
}
