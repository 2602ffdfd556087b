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
/// The ClickHouse server of the service, over HTTP. Its tables are made when they are first needed, so that one that is away stops neither
/// the start nor anything that needs no events. Every failure is an <see cref="EventStoreUnavailableException"/>.
/// </summary>
internal sealed class ClickHouseServer : IDisposable
{
    /// <summary>How long writing a batch may take, there and on the way.</summary>
    public static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(30);

    // All events of a large experiment are read by one query.
    private static readonly TimeSpan ReadLimit = TimeSpan.FromMinutes(30);

    private readonly ClickHouseClient _client;
    private readonly HttpClient _http;
    private readonly string _database;
    private readonly SemaphoreSlim _making = new(1);
    private volatile bool _isMade;

    public ClickHouseServer(string connectionString)
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
        var settings = new ClickHouseClientSettings(connectionString) { HttpClient = _http, Timeout = ReadLimit };
        _database = settings.Database;
        _client = new(settings);
    }

    /// <summary>Changes something.</summary>
    public Task Execute(string sql, IReadOnlyDictionary<string, object> parameters, CancellationToken ct) =>
        Reached(() => _client.ExecuteNonQueryAsync(sql, Of(parameters), Options(), ct), ct);

    /// <summary>Reads rows, one at a time.</summary>
    public Task Read(string sql, IReadOnlyDictionary<string, object> parameters, Action<ClickHouseDataReader> take, CancellationToken ct) =>
        Reached(
            async () =>
            {
                using var reader = await _client.ExecuteReaderAsync(sql, Of(parameters), Options(), ct);
                while (await reader.ReadAsync(ct))
                {
                    ct.ThrowIfCancellationRequested();
                    take(reader);
                }

                return true;
            },
            ct
        );

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

    /// <summary>Writes rows as one block. Of a block of several months, some may be stored although it fails.</summary>
    public Task Insert(string table, string[] columns, IReadOnlyCollection<object?[]> rows, CancellationToken ct) =>
        Reached(
            () =>
                _client.InsertBinaryAsync(
                    table,
                    columns,
                    rows!,
                    new()
                    {
                        BatchSize = Math.Max(1, rows.Count),
                        MaxDegreeOfParallelism = 1,
                        CustomSettings = new Dictionary<string, object>
                        {
                            ["max_execution_time"] = (int)WriteLimit.TotalSeconds,
                            // An answer means that they are stored.
                            ["async_insert"] = 0,
                            ["max_partitions_per_insert_block"] = 0,
                        },
                    },
                    ct
                ),
            ct
        );

    public void Dispose()
    {
        _client.Dispose();
        _http.Dispose();
        _making.Dispose();
    }

    private async Task<T> Reached<T>(Func<Task<T>> work, CancellationToken ct)
    {
        try
        {
            await MakeTables(ct);
            return await work();
        }
        catch (Exception exception)
            when (exception is DbException and not NpgsqlException or HttpRequestException or IOException or TaskCanceledException)
        {
            ct.ThrowIfCancellationRequested();
            throw new EventStoreUnavailableException(
                $"ClickHouse: {exception.Message.Split('\n')[0]}",
                exception,
                isRefusal: exception is ClickHouseServerException
            );
        }
    }

    // Each statement does nothing where its table exists, so any number of replicas may do it at once.
    private async Task MakeTables(CancellationToken ct)
    {
        if (_isMade)
        {
            return;
        }

        await _making.WaitAsync(ct);
        try
        {
            if (!_isMade)
            {
                var outside = new QueryOptions { Database = "default" };
                await _client.ExecuteNonQueryAsync($"CREATE DATABASE IF NOT EXISTS `{_database}`", null, outside, ct);
                foreach (var statement in ClickHouseSchema.Statements)
                {
                    await _client.ExecuteNonQueryAsync(statement, null, Options(), ct);
                }

                _isMade = true;
            }
        }
        finally
        {
            _making.Release();
        }
    }

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

    // What profiles of the server may set otherwise, and what depends on it that each event counts once.
    private static QueryOptions Options() =>
        new()
        {
            CustomSettings = new Dictionary<string, object>
            {
                // Identities and batches are lists in the query, which is longer than one may be by default.
                ["max_query_size"] = 64 << 20,
                ["max_ast_elements"] = 2_000_000,
                ["max_expanded_ast_elements"] = 2_000_000,
                ["max_execution_time"] = (int)ReadLimit.TotalSeconds,
                ["cancel_http_readonly_queries_on_client_close"] = 1,
                ["do_not_merge_across_partitions_select_final"] = 0,
                ["select_sequential_consistency"] = 1,
                ["lightweight_deletes_sync"] = 2,
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
