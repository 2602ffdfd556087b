namespace Experiments.Api.Platform.Http;

/// <summary>What the log says of requests.</summary>
internal static partial class HttpLog
{
    [LoggerMessage(LogLevel.Warning, "{Method} {Path} timed out")]
    public static partial void RequestTimedOut(this ILogger logger, string method, PathString path);

    [LoggerMessage(LogLevel.Information, "Refused with {Status}: {Method} {Path} by {Who} from {Address}: {Reason}")]
    public static partial void Refused(
        this ILogger logger,
        int status,
        string method,
        PathString path,
        string who,
        System.Net.IPAddress? address,
        string reason
    );

    [LoggerMessage(LogLevel.Warning, "{Method} {Path} failed: database unavailable ({Reason})")]
    public static partial void DatabaseUnavailable(this ILogger logger, string method, PathString path, string reason);

    [LoggerMessage(LogLevel.Error, "{Method} {Path} failed")]
    public static partial void RequestFailed(this ILogger logger, Exception exception, string method, PathString path);
}
