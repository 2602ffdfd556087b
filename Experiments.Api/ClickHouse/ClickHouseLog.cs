namespace Experiments.Api.ClickHouse;

/// <summary>Log messages about ClickHouse.</summary>
internal static partial class ClickHouseLog
{
    [LoggerMessage(LogLevel.Warning, "ClickHouse {Replica} cannot be used: {Message}")]
    public static partial void ReplicaAway(this ILogger logger, string replica, string message);

    [LoggerMessage(
        LogLevel.Warning,
        "Events have moved, and the old ones are still in {Left}, also of identities that are erased: run move-events --to {Store} again"
    )]
    public static partial void OldEventsAreLeft(this ILogger logger, string left, string store);
}
