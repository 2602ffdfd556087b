using Dapper;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Reads every few seconds, for the metrics, how far aggregation lags behind in all environments together, and how many partitions there
/// are.
/// </summary>
internal sealed class AggregationSampler : PeriodicJob
{
    private const string Sql = """
        SELECT COALESCE(extract(epoch FROM clock_timestamp() - min(received_at)), 0)::float8 AS lag,
            COALESCE(sum(events), 0)::bigint AS waiting, (SELECT count(*) FROM event_partitions) AS partitions
        FROM (
            SELECT received_at, events FROM event_batches
            UNION ALL
            SELECT received_at, events FROM event_arrivals WHERE is_postponed
        ) w
        """;

    private readonly NpgsqlDataSource _source;
    private volatile Sample _last = new(0, 0, 0);

    public AggregationSampler(NpgsqlDataSource source, Readiness readiness, Instruments instruments, ILogger<AggregationSampler> logger)
        : base(readiness, logger)
    {
        _source = source;
        instruments.Observe("experiments.aggregation.lag", "s", "How long the oldest waiting event has waited.", () => _last.Lag);
        instruments.Observe("experiments.aggregation.waiting", "{event}", "Events that are not aggregated yet.", () => _last.Waiting);
        instruments.Observe(
            "experiments.events.partitions",
            "{partition}",
            "Partitions of events, one for each month.",
            () => _last.Partitions
        );
    }

    protected override TimeSpan Interval => TimeSpan.FromSeconds(15);

    public override async Task Run(CancellationToken ct)
    {
        try
        {
            await using var connection = await _source.OpenConnectionAsync(ct);
            _last = await connection.QuerySingleAsync<Sample>(Sql);
        }
        catch (Exception exception) when (Failure.IsUnavailable(exception) && !ct.IsCancellationRequested)
        {
            // Aggregation itself says so, and the last sample stands until the next one.
        }
    }

    private sealed record Sample(double Lag, long Waiting, long Partitions);
}
