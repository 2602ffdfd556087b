using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>The connections to PostgreSQL.</summary>
internal static class DatabaseSetup
{
    public static void AddDatabase(this IServiceCollection services, Database database)
    {
        DapperSetup.Run();
        services.AddSingleton(_ => database);
        services.AddSingleton(provider =>
        {
            // Asked for before there are connections to it, so that the container disposes it after them.
            _ = provider.GetRequiredService<Database>();
            var deadline = provider.GetRequiredService<IOptions<RequestOptions>>().Value.Deadline;
            return Source(database.ConnectionString, deadline, provider.GetService<ILoggerFactory>());
        });
        services.AddScoped<Db>();
    }

    /// <summary>
    /// How long a transaction whose client does nothing is left standing, with all its locks: longer than any does here, and as long as
    /// others can wait.
    /// </summary>
    public static readonly TimeSpan Idle = TimeSpan.FromSeconds(5);

    /// <summary>Connections on which no statement runs longer than <paramref name="deadline"/>, when there is one.</summary>
    public static NpgsqlDataSource Source(string connectionString, TimeSpan? deadline = null, ILoggerFactory? loggers = null)
    {
        // Each statement is written to have one good plan; to weigh it anew for every set of values costs more than it can gain.
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

    /// <summary>
    /// What every connection has: a limit to how long it may hold locks while its client does nothing, or is no longer there. A replica
    /// that is frozen says nothing, and one whose host is lost cannot even say goodbye; only the server can end what they have begun.
    /// </summary>
    /// <param name="connectionString">As the operator wrote it; what stands there is kept.</param>
    /// <param name="statement">How long a statement may run; null is for ever.</param>
    /// <param name="idle">How long a transaction may wait for its client.</param>
    /// <param name="options">Other settings of the session.</param>
    public static NpgsqlConnectionStringBuilder Settings(string connectionString, TimeSpan? statement, TimeSpan idle, string options = "")
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        Default("Application Name", "experiments");
        // Halves what the server spends on a statement; Dapper does not prepare by itself.
        Default("Max Auto Prepare", 100);
        Default("Auto Prepare Min Usages", 2);
        // Enough to keep a small server busy, and few enough for three replicas on its default of 100 connections.
        Default("Maximum Pool Size", 30);
        // Nothing here changes the state of a session, so there is nothing to reset.
        Default("No Reset On Close", true);
        // A request gives up by its own deadline and leaves its statement behind. The server ends it, because asking the server
        // to cancel blocks a thread, and where the server hangs they are soon all blocked.
        Default("Timeout", 5);
        Default("Cancellation Timeout", -1);
        if (!(settings.Host ?? "").Split(',').Any(host => host.StartsWith('/') || host.StartsWith('@')))
        {
            // A server whose host is lost is noticed here by the same means as a client's is there. A Unix socket has no such thing.
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
            // What the operator wrote stands.
            if (!settings.ShouldSerialize(name))
            {
                settings[name] = value;
            }
        }

        // To the server 0 means for ever.
        static long Milliseconds(TimeSpan? limit) => limit is { } some ? Math.Max(1, (long)Math.Ceiling(some.TotalMilliseconds)) : 0;
    }

    // The last also ends a session whose client takes nothing of what it is sent.
    private const string Keepalives =
        "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c tcp_user_timeout=8000";
}
