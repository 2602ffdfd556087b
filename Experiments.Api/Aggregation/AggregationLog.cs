namespace Experiments.Api.Aggregation;

/// <summary>Log messages of aggregation.</summary>
internal static partial class AggregationLog
{
    [LoggerMessage(LogLevel.Warning, "Aggregation failed: database unavailable ({Reason}); retrying")]
    public static partial void DatabaseUnavailable(this ILogger logger, string reason);

    [LoggerMessage(LogLevel.Error, "Aggregation failed; retrying")]
    public static partial void AggregationFailed(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Error, "Metric backfill failed")]
    public static partial void BackfillFailed(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Error, "Windows that are over could not be taken into account; retrying")]
    public static partial void MaturingFailed(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Debug, "Metric backfill waits for a lock")]
    public static partial void BackfillLocked(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Debug, "A vacuum is summarising the events")]
    public static partial void VacuumIsRunning(this ILogger logger);

    [LoggerMessage(
        LogLevel.Warning,
        "Aggregation of environment {EnvironmentId} is on hold: a row is locked. Other environments are not affected"
    )]
    public static partial void EnvironmentLocked(this ILogger logger, long environmentId);

    [LoggerMessage(LogLevel.Error, "Aggregation of environment {EnvironmentId} failed; retrying. Other environments are not affected")]
    public static partial void EnvironmentFailed(this ILogger logger, Exception exception, long environmentId);

    [LoggerMessage(LogLevel.Information, "Aggregation of environment {EnvironmentId} resumed")]
    public static partial void EnvironmentResumed(this ILogger logger, long environmentId);

    [LoggerMessage(LogLevel.Error, "Definition of experiment {ExperimentId} is unreadable; skipped by aggregation: {Error}")]
    public static partial void ExperimentSkipped(this ILogger logger, long experimentId, string error);

    [LoggerMessage(
        LogLevel.Error,
        "Definition of metric {LinkId} of experiment {ExperimentId} is unreadable; skipped by aggregation: {Error}"
    )]
    public static partial void MetricSkipped(this ILogger logger, long linkId, long experimentId, string error);
}
