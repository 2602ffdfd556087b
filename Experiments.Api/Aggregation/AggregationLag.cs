namespace Experiments.Api.Aggregation;

/// <summary>How far aggregation lags behind ingestion.</summary>
internal static class AggregationLag
{
    /// <summary>
    /// Since when the oldest of some batches has waited: since it was received, or if its events lay in the future, since their time came.
    /// </summary>
    public const string Oldest = "min(GREATEST(received_at, from_at))";

    /// <summary>
    /// The aggregation lag of the environment of an experiment <c>e</c>: since when its oldest waiting event has waited, and how many
    /// events are waiting.
    /// </summary>
    public const string Sql = $"""
        SELECT {Oldest} AS oldest, COALESCE(sum(events), 0)::bigint AS events
        FROM event_batches WHERE environment_id = e.environment_id AND from_at <= clock_timestamp()
        """;
}
