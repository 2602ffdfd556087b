namespace Experiments.Api.Warehouse;

/// <summary>What is logged about warehouses.</summary>
internal static partial class WarehouseLog
{
    [LoggerMessage(LogLevel.Warning, "Reading experiment {ExperimentId} from its warehouse failed: {Reason}")]
    public static partial void ReadFailed(this ILogger logger, long experimentId, string reason);

    [LoggerMessage(LogLevel.Error, "Reading experiment {ExperimentId} from its warehouse failed")]
    public static partial void ReadBroken(this ILogger logger, Exception exception, long experimentId);
}
