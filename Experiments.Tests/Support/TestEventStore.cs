using Experiments.Api.ClickHouse;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Tests.Warehouse;
using Npgsql;

namespace Experiments.Tests.Support;

/// <summary>
/// Where the services of a run keep their events: in PostgreSQL, or with <c>EXPERIMENTS_TEST_STORE=clickhouse</c> in two shards of
/// ClickHouse, each in databases of its own that are named as the one in PostgreSQL.
/// </summary>
internal static class TestEventStore
{
    private static readonly SemaphoreSlim Turn = new(1);

    private static ClickHouseWarehouse? _server;

    public static bool IsClickHouse { get; } = Environment.GetEnvironmentVariable("EXPERIMENTS_TEST_STORE") == "clickhouse";

    public static async Task Start()
    {
        if (IsClickHouse)
        {
            _server = new ClickHouseWarehouse();
            await _server.InitializeAsync();
        }
    }

    public static async Task Stop()
    {
        if (Interlocked.Exchange(ref _server, null) is { } server)
        {
            await server.DisposeAsync();
        }
    }

    /// <summary>The settings of a service on this database.</summary>
    public static string[] Settings(string connectionString) =>
        _server is null
            ? []
            :
            [
                "--Events:Store=clickhouse",
                $"--ConnectionStrings:ClickHouse={ConnectionString(_server, connectionString)}",
                // No test of this store wants a 503, so one is a failure, and this says why.
                "--Logging:LogLevel:Experiments.Api.Platform.Http=Warning",
            ];

    /// <summary>Runs a statement; where it looks for events in PostgreSQL, or changes them, they are copied there and back.</summary>
    public static async Task<T> With<T>(string connectionString, string sql, Func<Task<T>> run)
    {
        if (_server is null)
        {
            return await run();
        }

        await Turn.WaitAsync();
        try
        {
            await Mirror(connectionString, sql);
            var result = await run();
            await Reflect(connectionString, sql);
            return result;
        }
        finally
        {
            Turn.Release();
        }
    }

    private static async Task Mirror(string connectionString, string sql)
    {
        if (_server is not null && (sql.Contains("FROM events", StringComparison.Ordinal) || Changes(sql)))
        {
            await using var source = NpgsqlDataSource.Create(connectionString);
            await using var truncate = source.CreateCommand("TRUNCATE events");
            await truncate.ExecuteNonQueryAsync();
            await using var database = new DatabaseServer(connectionString, null);
            using var server = new ClickHouseShards(ConnectionString(_server, connectionString));
            await new CopyToPostgres(source, server, new Partitions(database)).Run((_, _) => { }, CancellationToken.None);
        }
    }

    private static async Task Reflect(string connectionString, string sql)
    {
        if (_server is not null && Changes(sql))
        {
            await using var source = NpgsqlDataSource.Create(connectionString);
            using var server = new ClickHouseShards(ConnectionString(_server, connectionString));
            await server.Execute("TRUNCATE TABLE events", null, CancellationToken.None);
            await new CopyToClickHouse(source, server).Run((_, _) => { }, CancellationToken.None);
        }
    }

    private static bool Changes(string sql) => sql.Contains("UPDATE events SET", StringComparison.Ordinal);

    /// <summary>The connection to the events of a service on this database.</summary>
    public static string ConnectionString(ClickHouseWarehouse server, string connectionString, int shards = 2)
    {
        var database = new NpgsqlConnectionStringBuilder(connectionString).Database;
        var hosts = Enumerable.Range(1, shards).Select(shard => $"127.0.0.1:{server.Port}/{database}_{shard}");
        return $"Host={string.Join('|', hosts)};Username={server.Username}";
    }
}
