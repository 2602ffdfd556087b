namespace Experiments.Api.Aggregation;

/// <summary>How far aggregation lags behind ingestion.</summary>
internal static class AggregationLag
{
    /// <summary>
    /// The aggregation lag of the environment of an experiment <c>e</c>: since when its oldest waiting event has waited, and how many
    /// events are waiting.
    /// </summary>
    public const string Sql = $"""
        SELECT LEAST(min(b.received_at), (
                SELECT min(a.received_at) FROM event_arrivals a WHERE a.environment_id = e.environment_id)) AS oldest,
            (COALESCE(sum(b.events), 0) + COALESCE((
                SELECT sum(a.events) FROM event_arrivals a WHERE a.environment_id = e.environment_id AND a.is_postponed), 0))::bigint
                AS events
        FROM event_batches b WHERE b.environment_id = e.environment_id
        """;
}
