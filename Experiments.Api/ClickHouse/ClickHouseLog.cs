namespace Experiments.Api.ClickHouse;

/// <summary>Log messages about ClickHouse.</summary>
internal static partial class ClickHouseLog
{
    [LoggerMessage(LogLevel.Warning, "ClickHouse {Replica} cannot be used: {Message}")]
    public static partial void ReplicaAway(this ILogger logger, string replica, string message);
}
