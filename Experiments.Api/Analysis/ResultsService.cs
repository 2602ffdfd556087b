using System.Data;
using System.Diagnostics;
using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// Computes the results of an experiment from its sums and stores them. Only one process computes them at a time. If a computation fails,
/// the previous results are kept.
/// </summary>
internal sealed class ResultsService(
    NpgsqlDataSource source,
    ResultsReader reader,
    IOptions<ResultsOptions> options,
    Instruments instruments,
    ILogger<ResultsService> logger
)
{
    /// <summary>Whether the results <c>r</c> of an experiment <c>e</c> have all its metrics, with all their events.</summary>
    public const string HasAllMetrics = """
        COALESCE(jsonb_array_length(jsonb_path_query_array(r.payload, '$.metrics[*] ? (!exists(@.is_backfilling))')), 0)
            = (SELECT count(*) FROM experiment_metrics l WHERE l.experiment_id = e.id)
        """;

    /// <summary>
    /// Whether the results <c>r</c> of an experiment <c>e</c> are final: computed after the windows were closed and the period for late
    /// events was over, and for all metrics.
    /// </summary>
    public const string IsFinal = $"""
        COALESCE(r.as_of > e.ended_at + e.windows_run_on + @Late + interval '10 seconds', false) AND {HasAllMetrics}
        """;

    private const string Keep = """
        WITH run AS (
            -- Unless it was reset since.
            SELECT id FROM experiments WHERE id = @experimentId AND started_at = @startedAt FOR SHARE
        ), kept AS (
            INSERT INTO results AS r (experiment_id, payload, as_of, evidence, looked_at, last_error, last_error_at)
            SELECT id, @payload::jsonb, @asOf, @evidence::jsonb, CASE WHEN @isLook THEN clock_timestamp() END, @error,
                CASE WHEN @error IS NOT NULL THEN clock_timestamp() END FROM run
            ON CONFLICT (experiment_id) DO UPDATE SET payload = excluded.payload, as_of = excluded.as_of,
                evidence = COALESCE(excluded.evidence, r.evidence), looked_at = COALESCE(excluded.looked_at, r.looked_at),
                    last_error = excluded.last_error, last_error_at = excluded.last_error_at
            WHERE r.epoch = @epoch AND (r.as_of IS NULL OR r.as_of <= excluded.as_of)
            RETURNING r.experiment_id
        )
        INSERT INTO results_history AS h (experiment_id, day, payload, as_of) SELECT experiment_id, (@asOf AT TIME ZONE 'UTC')::date,
            @payload::jsonb, @asOf FROM kept
        ON CONFLICT (experiment_id, day) DO UPDATE SET payload = excluded.payload, as_of = excluded.as_of WHERE h.as_of <= excluded.as_of
        """;

    private const string Blame = """
        INSERT INTO results (experiment_id, last_error, last_error_at) VALUES (@experimentId, @error, clock_timestamp())
        ON CONFLICT (experiment_id) DO UPDATE SET last_error = excluded.last_error, last_error_at = excluded.last_error_at
        """;

    /// <summary>How long after an experiment's end its late events still count.</summary>
    public TimeSpan Late { get; } = options.Value.LateEvents;

    /// <summary>The minimum interval between two refreshes.</summary>
    public TimeSpan Interval { get; } = options.Value.MinimumInterval;

    /// <summary>
    /// Computes and stores the results, unless somebody else is computing them. A failure is recorded with the results.
    /// </summary>
    /// <param name="experimentId">The experiment.</param>
    /// <param name="isLook">Whether the evidence found is kept. Only the hourly looks do, so that results do not depend on readers.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<Computation> Compute(long experimentId, bool isLook, CancellationToken ct)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            var outcome = await Run(experimentId, isLook, ct).OrDetach(ct);
            if (outcome == Computation.Done)
            {
                instruments.Results.Add(1, Outcome("computed"));
                instruments.ResultsDuration.Record(Stopwatch.GetElapsedTime(began).TotalSeconds);
            }

            return outcome;
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            instruments.Results.Add(1, Outcome("failed"));
            logger.ResultsFailed(exception, experimentId);
            await using var connection = await source.OpenConnectionAsync(ct);
            await connection.ExecuteAsync(Blame, new { experimentId, error = Problem.ResultsFailed.Advice });
            return Computation.Failed;
        }
    }

    // Everything is read from one snapshot, so that identities and sums are consistent. Its transaction also holds the lock of this
    // computation, and is idle for no longer than the calculation takes.
    private async Task<Computation> Run(long experimentId, bool isLook, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var snapshot = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
        if (
            !await connection.QuerySingleAsync<bool>(
                "SELECT pg_try_advisory_xact_lock(hashtextextended('results', @experimentId))",
                new { experimentId }
            )
        )
        {
            return Computation.Busy;
        }

        if (await reader.Read(connection, snapshot, experimentId, ct) is { StartedAt: not null } input)
        {
            var (results, evidence) = ResultsCalculator.Make(
                input,
                (metric, exception) => logger.MetricFailed(exception, metric, experimentId)
            );
            if (isLook)
            {
                Count(input, results);
            }

            await using var keeping = await source.OpenConnectionAsync(ct);
            await keeping.ExecuteAsync(
                Keep,
                new
                {
                    experimentId,
                    payload = StoredJson.Write(results),
                    evidence = isLook && evidence is not null ? StoredJson.Write(evidence) : null,
                    epoch = input.Epoch,
                    isLook,
                    error = Incomplete(experimentId, input.UnreadableSince),
                    asOf = input.AsOf,
                    startedAt = input.StartedAt,
                }
            );
        }

        return Computation.Done;
    }

    /// <summary>The results of an experiment that has not started, with nothing in them. They are not kept.</summary>
    public async Task<ResultsView?> OfDraft(long experimentId, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        return await reader.ReadSums(connection, experimentId) is { } input ? ResultsCalculator.Make(input).Results : null;
    }

    /// <summary>The tag of what became of a request for results.</summary>
    public static KeyValuePair<string, object?> Outcome(string outcome) => new("outcome", outcome);

    // Against what was stored before; the first results change nothing.
    private void Count(ResultsInput before, ResultsView now)
    {
        if (before.Recommended is { } recommended && recommended != Words.Of(now.Recommendation.Action))
        {
            instruments.RecommendationsChanged.Add(1);
        }

        if (now.SampleRatio.IsHealthy is false && !before.WasBroken)
        {
            instruments.SampleRatioAlarms.Add(1);
        }
    }

    private static string? Incomplete(long experimentId, DateTime? since) =>
        since is null
            ? null
            : $"The definition of the experiment can't be read, so its exposures have not been counted since {since:yyyy-MM-dd HH:mm} UTC. "
                + $"Once it can be read again, run: recompute {experimentId} --from-events";
}
