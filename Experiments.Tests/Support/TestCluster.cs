using Experiments.Api.Platform.Data;
using Npgsql;

[assembly: AssemblyFixture(typeof(TestCluster))]

namespace Experiments.Tests.Support;

/// <summary>
/// The PostgreSQL of a run: the server that ConnectionStrings__Experiments names, or else a private one that is thrown away.
/// The schema is made once; every database of a test is a copy of it.
/// </summary>
public sealed class TestCluster : IAsyncLifetime
{
    private readonly string _template = $"experiments_test_{Guid.NewGuid():N}";
    private readonly SemaphoreSlim _copying = new(1);
    private EmbeddedPostgres? _embedded;
    private string _server = "";
    private readonly SemaphoreSlim _starting = new(1);
    private TestService? _shared;
    private int _copies;

    public async ValueTask InitializeAsync()
    {
        if (Environment.GetEnvironmentVariable("ConnectionStrings__Experiments") is { Length: > 0 } given)
        {
            _server = given;
        }
        else
        {
            _embedded = new EmbeddedPostgres(
                Temporary.Directory("cluster"),
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "max_connections=300"
            );
            await _embedded.Start(CancellationToken.None);
            // A run that is broken off leaves nothing behind either.
            AppDomain.CurrentDomain.ProcessExit += (_, _) => DisposeAsync().AsTask().Wait(TimeSpan.FromSeconds(10));
            _server = _embedded.ConnectionString;
        }

        await TestEventStore.Start();
        await Execute(_server, $"CREATE DATABASE {_template}");
        await Migrator.Run(ConnectionTo(_template), null, CancellationToken.None);
        NpgsqlConnection.ClearAllPools();
    }

    /// <summary>A new database with the schema and nothing else.</summary>
    public async Task<string> NewDatabase() => ConnectionTo(await Copy(_template));

    /// <summary>A new database with nothing at all.</summary>
    public async Task<string> EmptyDatabase() => ConnectionTo(await Copy("template0"));

    /// <summary>A single value of any database.</summary>
    public static async Task<T> Scalar<T>(string database, string sql)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>The service that those tests share which keep to an environment of their own.</summary>
    public async Task<TestService> Shared()
    {
        await _starting.WaitAsync();
        try
        {
            if (_shared is null)
            {
                var service = new TestService(this);
                await service.InitializeAsync();
                _shared = service;
            }

            return _shared;
        }
        finally
        {
            _starting.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_shared is not null)
        {
            await _shared.DisposeAsync();
        }

        await TestEventStore.Stop();
        NpgsqlConnection.ClearAllPools();
        if (_embedded is not null)
        {
            await _embedded.DisposeAsync();
            if (Directory.Exists(_embedded.Root))
            {
                Directory.Delete(_embedded.Root, recursive: true);
            }

            return;
        }

        for (var copy = _copies; copy > 0; copy--)
        {
            await Execute(_server, $"DROP DATABASE IF EXISTS {_template}_{copy} WITH (FORCE)");
        }

        await Execute(_server, $"DROP DATABASE {_template} WITH (FORCE)");
    }

    private async Task<string> Copy(string template)
    {
        // One copy of a template at a time: PostgreSQL refuses a template that is in use.
        await _copying.WaitAsync();
        try
        {
            var name = $"{_template}_{++_copies}";
            await Execute(_server, $"CREATE DATABASE {name} TEMPLATE {template}");
            return name;
        }
        finally
        {
            _copying.Release();
        }
    }

    private string ConnectionTo(string database) => new NpgsqlConnectionStringBuilder(_server) { Database = database }.ConnectionString;

    private static async Task Execute(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString
        );
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
