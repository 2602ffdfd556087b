namespace Experiments.Api.Aggregation;

/// <summary>How far aggregation lags behind ingestion.</summary>
internal static class AggregationLag
{
    /// <summary>
    /// The aggregation lag of the environment of an experiment <c>e</c>: since when its oldest waiting event has waited, and how many
    /// events are waiting.
    /// </summary>
    public const string Sql = $"""
        SELECT min(received_at) AS oldest, COALESCE(sum(events), 0)::bigint AS events
        FROM event_batches WHERE environment_id = e.environment_id
        """;
}
