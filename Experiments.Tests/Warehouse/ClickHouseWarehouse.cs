using System.Diagnostics;
using System.Globalization;
using Experiments.Tests.Clients;

namespace Experiments.Tests.Warehouse;

/// <summary>ClickHouse's engine behind its HTTP interface, in a process of its own.</summary>
public sealed class ClickHouseWarehouse : IWarehouseServer, IAsyncLifetime
{
    private const string Folder = "../Warehouse/chdb";

    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromMinutes(2) };

    private readonly string _directory = Temporary.Directory("clickhouse");
    private Process? _server;

    /// <summary>The configuration of the engine, if it has one.</summary>
    internal string? Configuration { get; init; }

    public string Kind => "clickhouse";

    public int Port { get; private set; }

    public string Database => "default";

    public string Username => "default";

    public (string Text, string Optional, string Instant, string Json) Types =>
        ("LowCardinality(String)", "Nullable(String)", "DateTime64(3, 'Europe/Zurich')", "String");

    public string Engine => "ENGINE = MergeTree ORDER BY tuple()";

    public async ValueTask InitializeAsync()
    {
        await NodeClients.Install(Folder);
        Directory.CreateDirectory(_directory);
        _server = NodeClients.Start(
            "node",
            ["server.mjs", _directory, .. Configuration is { } file ? [file] : Array.Empty<string>()],
            Folder
        );
        var port = await _server.StandardOutput.ReadLineAsync() ?? throw new IOException(await _server.StandardError.ReadToEndAsync());
        Port = int.Parse(port, CultureInfo.InvariantCulture);
    }

    public async Task Execute(string sql)
    {
        using var response = await Http.PostAsync(new Uri($"http://127.0.0.1:{Port}/"), new StringContent(sql));
        response.IsSuccessStatusCode.ShouldBeTrue(await response.Content.ReadAsStringAsync());
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            _server.Kill();
            await _server.WaitForExitAsync();
            _server.Dispose();
            Directory.Delete(_directory, recursive: true);
        }
    }
}
