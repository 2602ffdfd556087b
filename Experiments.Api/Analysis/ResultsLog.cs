namespace Experiments.Api.Analysis;

/// <summary>Log messages of results.</summary>
internal static partial class ResultsLog
{
    [LoggerMessage(LogLevel.Error, "Results of experiment {ExperimentId} failed")]
    public static partial void ResultsFailed(this ILogger logger, Exception exception, long experimentId);

    [LoggerMessage(LogLevel.Error, "The hourly look at experiment {ExperimentId} failed")]
    public static partial void LookFailed(this ILogger logger, Exception exception, long experimentId);

    [LoggerMessage(LogLevel.Error, "A part of the results of experiment {ExperimentId} failed; the rest was computed")]
    public static partial void PartFailed(this ILogger logger, Exception exception, long experimentId);

    [LoggerMessage(LogLevel.Error, "Metric {LinkId} of experiment {ExperimentId} failed; the other metrics were computed")]
    public static partial void MetricFailed(this ILogger logger, Exception exception, long linkId, long experimentId);
}
