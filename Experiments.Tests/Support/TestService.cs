using System.Security.Cryptography;
using Dapper;
using Experiments.Api;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Startup;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;
using Npgsql;
using Respawn;

namespace Experiments.Tests.Support;

/// <summary>The real service on a port of its own, on a database of its own, as it runs in Production with its gate open.</summary>
public class TestService(TestCluster cluster) : IAsyncLifetime
{
    public const string Issuer = "https://issuer.example";
    public const string Audience = "experiments";
    public const string AdminKey = "exp_the_first_admin_key_of_the_tests";

    private static readonly byte[] SigningKey = RandomNumberGenerator.GetBytes(32);
    private WebApplication? _app;
    private TestService? _joined;
    private Respawner? _respawner;

    public string ConnectionString { get; private set; } = "";

    /// <summary>What the service is made of, for what it does by the hour.</summary>
    public IServiceProvider Services => _joined?.Services ?? _app!.Services;

    /// <summary>Where its events are.</summary>
    internal IEventStore Store => Services.GetRequiredService<IEventStore>();

    public Uri Address { get; private set; } = new("http://localhost");

    /// <summary>Speaks as the instance admin.</summary>
    public Client Admin => As($"Api-Key {AdminKey}");

    /// <summary>What this service is configured with besides what all have.</summary>
    protected virtual string[] Settings => [];

    public virtual async ValueTask InitializeAsync()
    {
        ConnectionString = await cluster.NewDatabase();
        await Begin(ConnectionString, Settings);
    }

    /// <summary>Starts it on this database.</summary>
    protected async Task Begin(string database, params string[] settings)
    {
        ConnectionString = database;
        _app = await Start(database, settings);
        Address = new Uri(_app.Urls.First());
    }

    public virtual async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (_app is not null)
        {
            await _app.StopAsync();
            await _app.DisposeAsync();
        }
    }

    /// <summary>Speaks of a service that somebody else has started and will stop.</summary>
    protected void Join(TestService other)
    {
        (ConnectionString, Address) = (other.ConnectionString, other.Address);
        _joined = other;
    }

    /// <summary>Empties the database, but for the key of the instance admin and the tables that migrations fill.</summary>
    public async Task Reset()
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync();
        _respawner ??= await Respawner.CreateAsync(
            connection,
            new RespawnerOptions
            {
                DbAdapter = DbAdapter.Postgres,
                SchemasToInclude = ["public"],
                TablesToIgnore = ["schema_history", "event_partitions", "event_store"],
            }
        );
        // The audit log refuses to forget; its trigger looks away for the tests alone.
        await connection.ExecuteAsync("ALTER TABLE audit_log DISABLE TRIGGER audit_log_is_append_only");
        await _respawner.ResetAsync(connection);
        await connection.ExecuteAsync("ALTER TABLE audit_log ENABLE TRIGGER audit_log_is_append_only");
        await Services.GetRequiredService<AdminKeys>().Set("EXPERIMENTS_ADMIN_KEY", AdminKey, CancellationToken.None);
    }

    /// <summary>Starts a service, on any database, and waits until it listens.</summary>
    internal static async Task<WebApplication> Start(string connectionString, params string[] settings)
    {
        var app = Service.Build([
            "--environment=Production",
            "--urls=http://127.0.0.1:0",
            $"--ConnectionStrings:Experiments={connectionString}",
            $"--EXPERIMENTS_ADMIN_KEY={AdminKey}",
            "--FeatureManagement:experimental_flags=true",
            "--Requests:Drain=00:00:00",
            // Tests wait for results by refreshing them.
            "--Results:MinimumInterval=00:00:00",
            // Evidence of a look at half the events of a test would stand in its results.
            "--Results:FirstLookAfter=1.00:00:00",
            // All tests come from one address, and many of them are refused.
            "--Requests:FailedSignInsPerMinute=0",
            "--Logging:LogLevel:Default=Error",
            "--Logging:LogLevel:Microsoft.AspNetCore.Server.Kestrel=None",
            "--Logging:LogLevel:Microsoft.Hosting.Lifetime=None",
            // Two tests break the results of an experiment on purpose.
            "--Logging:LogLevel:Experiments.Api.Analysis.ResultsService=None",
            // Databases of tests are dropped with connections to them.
            "--Logging:LogLevel:Npgsql.Connection=None",
            "--Logging:LogLevel:Npgsql.Transaction=None",
            $"--Authentication:Schemes:Bearer:ValidIssuer={Issuer}",
            $"--Authentication:Schemes:Bearer:ValidAudiences:0={Audience}",
            $"--Authentication:Schemes:Bearer:SigningKeys:0:Issuer={Issuer}",
            $"--Authentication:Schemes:Bearer:SigningKeys:0:Value={Convert.ToBase64String(SigningKey)}",
            .. TestEventStore.Settings(connectionString),
            .. settings,
        ]);
        await app.StartAsync();
        return app;
    }

    /// <summary>A client that sends this Authorization header, or none.</summary>
    public Client As(string? authorization) => new(Address, authorization);

    /// <summary>A client with a token of this subject.</summary>
    public Client AsUser(string subject) => As($"Bearer {Token(subject)}");

    public static string Token(
        string subject,
        string issuer = Issuer,
        string audience = Audience,
        TimeSpan? lifetime = null,
        byte[]? key = null,
        string? keyId = null
    )
    {
        var now = DateTime.UtcNow.AddMinutes(-10);
        return new JsonWebTokenHandler().CreateToken(
            new SecurityTokenDescriptor
            {
                Issuer = issuer,
                Audience = audience,
                Claims = new Dictionary<string, object> { ["sub"] = subject },
                NotBefore = now,
                Expires = now.AddMinutes(10) + (lifetime ?? TimeSpan.FromMinutes(5)),
                SigningCredentials = new SigningCredentials(
                    new SymmetricSecurityKey(key ?? SigningKey) { KeyId = keyId },
                    SecurityAlgorithms.HmacSha256
                ),
            }
        );
    }

    /// <summary>What the database holds.</summary>
    public async Task<T> Query<T>(string sql, object? parameters = null)
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        return (await TestEventStore.With(ConnectionString, sql, () => connection.QuerySingleAsync<T>(sql, parameters)))!;
    }

    public async Task<IReadOnlyList<T>> QueryAll<T>(string sql, object? parameters = null)
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        return (await TestEventStore.With(ConnectionString, sql, () => connection.QueryAsync<T>(sql, parameters))).AsList();
    }

    public async Task Execute(string sql, object? parameters = null)
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        await TestEventStore.With(ConnectionString, sql, () => connection.ExecuteAsync(sql, parameters));
    }
}
