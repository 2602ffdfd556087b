using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>The connections to PostgreSQL.</summary>
internal static class DatabaseSetup
{
    public static void AddDatabase(this IServiceCollection services, Database database, TimeSpan deadline)
    {
        DapperSetup.Run();
        services.AddSingleton(_ => database);
        services.AddSingleton(provider =>
        {
            // Asked for before there are connections to it, so that the container disposes it after them.
            _ = provider.GetRequiredService<Database>();
            return Source(database.ConnectionString, deadline, provider.GetService<ILoggerFactory>());
        });
        services.AddScoped<Db>();
    }

    /// <summary>Connections on which no statement runs longer than <paramref name="deadline"/>, when there is one.</summary>
    public static NpgsqlDataSource Source(string connectionString, TimeSpan? deadline = null, ILoggerFactory? loggers = null)
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
        if (deadline is { } limit)
        {
            // Each statement is written to have one good plan; to weigh it anew for every set of values costs more than it can gain.
            settings.Options = $"-c statement_timeout={(int)limit.TotalMilliseconds} -c plan_cache_mode=force_generic_plan {settings.Options}".TrimEnd();
        }

        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        builder.UseLoggerFactory(loggers);
        return builder.Build();

        void Default(string name, object value)
        {
            // What the operator wrote stands.
            if (!settings.ShouldSerialize(name))
            {
                settings[name] = value;
            }
        }
    }
}
