namespace Experiments.Api.Analysis;

/// <summary>The last time that an experiment was read from its warehouse.</summary>
/// <param name="ReadAt">When that was; null before the first time.</param>
/// <param name="Rows">How many rows were read.</param>
/// <param name="Seconds">How long it took.</param>
/// <param name="Error">Why it failed since, and what to mend; what was read before is shown until then.</param>
/// <param name="ErrorAt">When it failed.</param>
internal sealed record WarehouseReadView(
    DateTime? ReadAt = null,
    long? Rows = null,
    double? Seconds = null,
    string? Error = null,
    DateTime? ErrorAt = null
)
{
    /// <summary>Selects this of an experiment <c>e</c>, as JSON; null for one that is counted from the events of the service.</summary>
    public const string OfExperiment = """
        CASE WHEN e.source IS NOT NULL THEN COALESCE(
            (SELECT json_build_object('read_at', instant(w.as_of), 'rows', w.rows, 'seconds', w.seconds, 'error', w.error,
                'error_at', instant(w.error_at))::text FROM warehouse_reads w WHERE w.experiment_id = e.id), '{}') END
        """;
}
