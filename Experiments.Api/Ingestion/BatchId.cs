namespace Experiments.Api.Ingestion;

/// <summary>
/// The number of a batch of events, which says when it came in: the milliseconds since 1970, and 20 bits to tell those of the same one
/// apart.
/// </summary>
internal static class BatchId
{
    public const int Bits = 20;

    public static DateTime ReceivedAt(long batch) => DateTime.UnixEpoch.AddMilliseconds(batch >> Bits);
}
