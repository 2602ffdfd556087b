namespace Experiments.Api.Ingestion;

/// <summary>Log messages of ingestion.</summary>
internal static partial class IngestionLog
{
    [LoggerMessage(LogLevel.Information, "Dropped {Partition}: its events are older than {Retention}")]
    public static partial void PartitionDropped(this ILogger logger, string partition, TimeSpan retention);

    [LoggerMessage(LogLevel.Error, "The postponed batch {Batch} could not be stored; it stays where it is, and is tried again")]
    public static partial void PostponedFailed(this ILogger logger, Exception exception, long? batch);
}
