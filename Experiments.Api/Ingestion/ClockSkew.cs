namespace Experiments.Api.Ingestion;

/// <summary>
/// How far the clock of a sender is behind ours, by when it says that it sent a request. All timestamps of the request are corrected by
/// it.
/// </summary>
internal static class ClockSkew
{
    /// <summary>The largest skew that is corrected. A clock that is further off tells nothing.</summary>
    public static readonly TimeSpan Most = TimeSpan.FromDays(7);

    /// <summary>
    /// By how much the timestamp of an event may differ from when it happened: the largest skew, and how far ahead a timestamp may be.
    /// Partitions and keys are of timestamps, and whoever looks for what happened must look that far around.
    /// </summary>
    public static readonly TimeSpan SlackTime = Most + EventSizeLimits.Ahead;

    /// <summary>The same in SQL.</summary>
    public const string Slack = "interval '8 days'";

    /// <summary>The time to add to timestamps, to the millisecond; none if it is larger than <see cref="Most"/>.</summary>
    public static TimeSpan Of(DateTime sent, DateTime arrived)
    {
        var skew = TimeSpan.FromMilliseconds(Math.Round((arrived - sent).TotalMilliseconds));
        return skew.Duration() <= Most ? skew : TimeSpan.Zero;
    }
}
