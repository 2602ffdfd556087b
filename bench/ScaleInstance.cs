using System.Diagnostics;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Bench;

/// <summary>A PostgreSQL of its own, and the services that run on it.</summary>
internal sealed class ScaleInstance : IAsyncDisposable
{
    private readonly EmbeddedPostgres _postgres;
    private readonly List<Process> _services = [];

    private ScaleInstance() => _postgres = new(Directory, "max_wal_size=4GB", "autovacuum_naptime=5s");

    /// <summary>Where its files are.</summary>
    public string Directory { get; } = $"/tmp/experiments-bench-{Environment.ProcessId}";

    public NpgsqlDataSource Source { get; private set; } = null!;

    public static async Task<ScaleInstance> Start()
    {
        var instance = new ScaleInstance();
        try
        {
            await instance._postgres.Start(CancellationToken.None);
            instance.Source = DatabaseSetup.Source(instance._postgres.ConnectionString);
            return instance;
        }
        catch
        {
            await instance.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts a service, and returns once it is ready.</summary>
    public async Task<(Process Process, string Address)> Service(string assembly, params (string Name, string Value)[] settings)
    {
        var address = Machine.FreeAddress();
        _services.Add(
            Machine.Start(
                assembly,
                [],
                address,
                [("ConnectionStrings__Experiments", _postgres.ConnectionString), ("Logging__LogLevel__Default", "Warning"), .. settings]
            )
        );
        await Machine.FirstAnswer($"{address}/health/ready");
        return (_services[^1], address);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _services)
        {
            await Machine.Stop(service);
        }

        if (Source is not null)
        {
            await Source.DisposeAsync();
        }

        await _postgres.DisposeAsync();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
