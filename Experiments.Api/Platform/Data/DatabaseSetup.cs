using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>The connections to PostgreSQL.</summary>
internal static class DatabaseSetup
{
    public static void AddDatabase(this IServiceCollection services, DatabaseServer database)
    {
        DapperSetup.Run();
        services.AddSingleton(_ => database);
        services.AddSingleton(provider =>
        {
            // Asked for before there are connections to it, so that the container disposes it after them.
            _ = provider.GetRequiredService<DatabaseServer>();
            var deadline = provider.GetRequiredService<IOptions<RequestOptions>>().Value.Deadline;
            return Source(database.ConnectionString, deadline, provider.GetService<ILoggerFactory>());
        });
        services.AddScoped<Db>();
    }

    /// <summary>
    /// How long a transaction may stay idle, with all its locks, before the server ends it. No transaction here is idle for that long,
    /// and other requests can wait for it.
    /// </summary>
    public static readonly TimeSpan Idle = TimeSpan.FromSeconds(5);

    /// <summary>Connections whose statements run no longer than <paramref name="deadline"/>, if there is one.</summary>
    public static NpgsqlDataSource Source(string connectionString, TimeSpan? deadline = null, ILoggerFactory? loggers = null)
    {
        // Every statement is written to have one good plan. Planning it again for each set of values costs more than it could gain.
        var builder = new NpgsqlDataSourceBuilder(
            (
                deadline is { } limit
                    ? Settings(connectionString, limit, limit + TimeSpan.FromSeconds(2), "-c plan_cache_mode=force_generic_plan")
                    : Settings(connectionString, null, Idle)
            ).ConnectionString
        );
        builder.UseLoggerFactory(loggers);
        return builder.Build();
    }

    /// <summary>A few connections for one purpose, which requests that use up their pool do not take away.</summary>
    public static NpgsqlDataSource Reserved(DatabaseServer database, string purpose, int connections, TimeSpan limit)
    {
        var settings = Settings(database.ConnectionString, limit, Idle, "-c plan_cache_mode=force_generic_plan");
        (settings.ApplicationName, settings.MinPoolSize, settings.MaxPoolSize, settings.Timeout) = (
            $"experiments-{purpose}",
            0,
            connections,
            3
        );
        // A server that is gone ends no statement.
        settings.CommandTimeout = (int)Math.Ceiling(limit.TotalSeconds) + 1;
        return NpgsqlDataSource.Create(settings);
    }

    /// <summary>
    /// The settings of every connection: a limit on how long it may hold locks while its client is idle or gone. A frozen replica sends
    /// nothing, and a lost host cannot even close its connections. Only the server can end their transactions.
    /// </summary>
    /// <param name="connectionString">The operator's connection string. Its settings take precedence.</param>
    /// <param name="statement">How long a statement may run; null for no limit.</param>
    /// <param name="idle">How long a transaction may wait for its client.</param>
    /// <param name="options">Other settings of the session.</param>
    public static NpgsqlConnectionStringBuilder Settings(string connectionString, TimeSpan? statement, TimeSpan idle, string options = "")
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        Default("Application Name", "experiments");
        // Halves what the server spends on a statement; Dapper does not prepare by itself.
        Default("Max Auto Prepare", 100);
        Default("Auto Prepare Min Usages", 2);
        // Enough to keep a small server busy, and few enough for two replicas on its default of 100 connections.
        Default("Maximum Pool Size", 30);
        // No statement changes session state, so there is nothing to reset.
        Default("No Reset On Close", true);
        // A request stops waiting at its deadline and abandons its statement, which the server ends by its own time-out. Asking the
        // server to cancel would block a thread, and if the server hangs, soon all of them.
        Default("Timeout", 5);
        Default("Cancellation Timeout", -1);
        if ((settings.Host ?? "").Contains(',', StringComparison.Ordinal))
        {
            // After a failover, the new primary is found within a second.
            Default("Host Recheck Seconds", 1);
        }

        if (!(settings.Host ?? "").Split(',').Any(host => host.StartsWith('/') || host.StartsWith('@')))
        {
            // TCP keepalives detect a lost server here, as they detect a lost client there. A Unix socket does not need them.
            Default("Tcp Keepalive", true);
            Default("Tcp Keepalive Time", 10);
            Default("Tcp Keepalive Interval", 5);
        }

        settings.Options =
            $"-c statement_timeout={Milliseconds(statement)} -c "
            + $"idle_in_transaction_session_timeout={Milliseconds(idle)} {Keepalives} {options} {settings.Options}".TrimEnd();
        return settings;

        void Default(string name, object value)
        {
            // Keep the operator's setting.
            if (!settings.ShouldSerialize(name))
            {
                settings[name] = value;
            }
        }

        // To the server, 0 means no limit.
        static long Milliseconds(TimeSpan? limit) => limit is { } some ? Math.Max(1, (long)Math.Ceiling(some.TotalMilliseconds)) : 0;
    }

    // The last setting also ends a session whose client does not read what it is sent.
    private const string Keepalives =
        "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=8000";
}
