using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>The connections to PostgreSQL.</summary>
internal static class DatabaseSetup
{
    public static void AddDatabase(this IServiceCollection services, string connectionString)
    {
        DapperSetup.Run();
        services.AddSingleton(provider =>
        {
            // Made before the connections to it, so that the container disposes it after them.
            _ = provider.GetService<EmbeddedPostgres>();
            return Source(connectionString, provider.GetService<ILoggerFactory>());
        });
        services.AddScoped<Db>();
    }

    public static NpgsqlDataSource Source(string connectionString, ILoggerFactory? loggers = null)
    {
        var settings = new NpgsqlConnectionStringBuilder(connectionString);
        var untouched = new NpgsqlConnectionStringBuilder();
        Default("Application Name", "experiments");
        // Halves what the server spends on a statement; Dapper does not prepare by itself.
        Default("Max Auto Prepare", 100);
        Default("Auto Prepare Min Usages", 2);
        // Enough to keep a small server busy, and few enough for three replicas on its default of 100 connections.
        Default("Maximum Pool Size", 30);
        // Nothing here changes the state of a session, so there is nothing to reset.
        Default("No Reset On Close", true);
        // A request gives up by its own deadline; these bound what it leaves behind.
        Default("Timeout", 5);
        Default("Cancellation Timeout", 500);

        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        builder.UseLoggerFactory(loggers);
        return builder.Build();

        void Default(string name, object value)
        {
            // What the operator changed stands.
            if (Equals(settings[name], untouched[name]))
            {
                settings[name] = value;
            }
        }
    }
}
