using System.Net;
using System.Net.Sockets;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Warehouse;

/// <summary>The database of a customer, on this machine.</summary>
public interface IWarehouseServer
{
    string Kind { get; }

    int Port { get; }

    string Database { get; }

    string Username { get; }

    /// <summary>The types of a text, a nullable text, an instant and JSON there.</summary>
    (string Text, string Optional, string Instant, string Json) Types { get; }

    /// <summary>What a statement that makes a table ends with.</summary>
    string Engine { get; }

    Task Execute(string sql);
}

/// <summary>A PostgreSQL that listens on a port, as that of a customer does.</summary>
public sealed class PostgreSqlWarehouse : IWarehouseServer, IAsyncLifetime
{
    private readonly EmbeddedPostgres _server;
    private NpgsqlDataSource? _source;

    public PostgreSqlWarehouse()
    {
        Port = FreePort();
        _server = new(Temporary.Directory("warehouse"), "fsync=off", "listen_addresses=127.0.0.1", $"port={Port}", "max_connections=50");
    }

    public string Kind => "postgresql";

    public int Port { get; }

    public string Database => "postgres";

    public string Username => "experiments";

    public (string Text, string Optional, string Instant, string Json) Types => ("text", "text", "timestamptz", "jsonb");

    public string Engine => "";

    public async ValueTask InitializeAsync()
    {
        await _server.Start(CancellationToken.None);
        _source = NpgsqlDataSource.Create($"Host=127.0.0.1;Port={Port};Username={Username};Database={Database}");
    }

    public async Task Execute(string sql)
    {
        await using var command = _source!.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    // Free now, and with luck until it is taken.
    private static int FreePort()
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        return ((IPEndPoint)free.LocalEndpoint).Port;
    }

    public async ValueTask DisposeAsync()
    {
        await _source!.DisposeAsync();
        await _server.DisposeAsync();
        Directory.Delete(_server.Root, recursive: true);
    }
}
