using Experiments.Api.ClickHouse;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Tests.Warehouse;
using Npgsql;

namespace Experiments.Tests.Support;

/// <summary>
/// Where the services of a run keep their events: in PostgreSQL, or with <c>EXPERIMENTS_TEST_STORE=clickhouse</c> in ClickHouse, each in a
/// database of its own that is named as the one in PostgreSQL.
/// </summary>
internal static class TestEventStore
{
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
            : ["--Events:Store=clickhouse", $"--ConnectionStrings:ClickHouse={ConnectionString(_server, connectionString)}"];

    /// <summary>Copies the events to PostgreSQL before a statement that looks for them there, or changes them.</summary>
    public static async Task Mirror(string connectionString, string sql)
    {
        if (_server is not null && (sql.Contains("FROM events", StringComparison.Ordinal) || Changes(sql)))
        {
            await using var source = NpgsqlDataSource.Create(connectionString);
            await using var truncate = source.CreateCommand("TRUNCATE events");
            await truncate.ExecuteNonQueryAsync();
            await using var database = new DatabaseServer(connectionString, null);
            using var server = new ClickHouseServer(ConnectionString(_server, connectionString));
            await new EventCopy(source, server).ToPostgres(new Partitions(database), (_, _) => { }, CancellationToken.None);
        }
    }

    /// <summary>Copies them back after a statement that has changed them.</summary>
    public static async Task Reflect(string connectionString, string sql)
    {
        if (_server is not null && Changes(sql))
        {
            await using var source = NpgsqlDataSource.Create(connectionString);
            using var server = new ClickHouseServer(ConnectionString(_server, connectionString));
            await server.Execute("TRUNCATE TABLE events", new Dictionary<string, object>(), CancellationToken.None);
            await new EventCopy(source, server).ToClickHouse((_, _) => { }, CancellationToken.None);
        }
    }

    private static bool Changes(string sql) => sql.Contains("UPDATE events SET", StringComparison.Ordinal);

    /// <summary>The connection to the events of a service on this database.</summary>
    public static string ConnectionString(ClickHouseWarehouse server, string connectionString) =>
        $"Host=127.0.0.1;Port={server.Port};Username={server.Username};Database="
        + new NpgsqlConnectionStringBuilder(connectionString).Database;
}
