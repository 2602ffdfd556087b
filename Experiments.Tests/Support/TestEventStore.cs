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

    /// <summary>The connection to the events of a service on this database.</summary>
    public static string ConnectionString(ClickHouseWarehouse server, string connectionString) =>
        $"Host=127.0.0.1;Port={server.Port};Username={server.Username};Database="
        + new NpgsqlConnectionStringBuilder(connectionString).Database;
}
