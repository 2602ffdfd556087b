namespace Experiments.Api.Platform.Startup;

/// <summary>Log messages of startup and background jobs.</summary>
internal static partial class StartupLog
{
    [LoggerMessage(LogLevel.Information, "Ready: version {Version}, schema {Schema}")]
    public static partial void Ready(this ILogger logger, string version, long schema);

    [LoggerMessage(LogLevel.Warning, "Database initialization failed: database unavailable ({Reason}); retrying in {Pause}")]
    public static partial void InitializationDelayed(this ILogger logger, string reason, TimeSpan pause);

    [LoggerMessage(LogLevel.Critical, "Database initialization failed")]
    public static partial void InitializationFailed(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "The embedded PostgreSQL stopped unexpectedly and was restarted")]
    public static partial void EmbeddedPostgresRestarted(this ILogger logger);

    [LoggerMessage(LogLevel.Error, "The embedded PostgreSQL could not be restarted ({Reason}); trying again")]
    public static partial void EmbeddedPostgresNotRestarted(this ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning, "The schema is {State}")]
    public static partial void SchemaChanged(this ILogger logger, string state);

    [LoggerMessage(LogLevel.Warning, "No admin key exists yet: start it with EXPERIMENTS_ADMIN_KEY, or run 'keys create --instance-admin'")]
    public static partial void NoAdminKey(this ILogger logger);

    [LoggerMessage(LogLevel.Warning, "{Job} failed: database unavailable ({Reason}); retrying in {Interval}")]
    public static partial void JobDelayed(this ILogger logger, string job, string reason, TimeSpan interval);

    [LoggerMessage(LogLevel.Error, "{Job} failed; retrying in {Interval}")]
    public static partial void JobFailed(this ILogger logger, Exception exception, string job, TimeSpan interval);
}
