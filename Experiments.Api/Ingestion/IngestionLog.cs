namespace Experiments.Api.Ingestion;

/// <summary>What the log says of stored events.</summary>
internal static partial class IngestionLog
{
    [LoggerMessage(LogLevel.Information, "Dropped {Partition}: its events are older than {Retention}")]
    public static partial void PartitionDropped(this ILogger logger, string partition, TimeSpan retention);
}
