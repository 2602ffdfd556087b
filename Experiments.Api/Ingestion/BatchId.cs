namespace Experiments.Api.Ingestion;

/// <summary>
/// The id of a batch of events, which encodes its arrival time: the milliseconds since 1970, and 20 bits to distinguish batches of the
/// same millisecond.
/// </summary>
internal static class BatchId
{
    public const int Bits = 20;

    public static DateTime ReceivedAt(long batch) => DateTime.UnixEpoch.AddMilliseconds(batch >> Bits);

    /// <summary>The highest id that a batch received at this instant or before can have.</summary>
    public static long LastOf(DateTime instant) =>
        (((instant - DateTime.UnixEpoch).Ticks / TimeSpan.TicksPerMillisecond) << Bits) | ((1L << Bits) - 1);
}
