namespace Experiments.Api.Evaluation;

/// <summary>What the log says of snapshots.</summary>
internal static partial class EvaluationLog
{
    [LoggerMessage(LogLevel.Error, "Snapshot refresh failed")]
    public static partial void SnapshotRefreshFailed(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Snapshot refresh failed: database unavailable ({Reason}); serving the last snapshots")]
    public static partial void DatabaseUnavailable(this ILogger logger, string reason);

    [LoggerMessage(LogLevel.Warning, "{Count} traits were not kept: {Reason}")]
    public static partial void TraitsNotKept(this ILogger logger, int count, string reason);

    [LoggerMessage(LogLevel.Error, "Snapshot of environment {EnvironmentId} failed")]
    public static partial void SnapshotFailed(this ILogger logger, Exception exception, long environmentId);
}
