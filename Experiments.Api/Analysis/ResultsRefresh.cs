using Experiments.Api.Aggregation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Warehouse;

namespace Experiments.Api.Analysis;

/// <summary>
/// A refresh requested by a caller, through either route. There is at most one per <see cref="ResultsService.Interval"/> for each
/// experiment. It is audited, and complete when the response is sent, unless it reads a warehouse that takes longer.
/// </summary>
internal sealed class ResultsRefresh(Db db, AggregationWorker worker, WarehouseReads warehouse, ResultsService results)
{
    /// <summary>
    /// Checks, claims the refresh and audits it in one statement, so that only one of several concurrent requests succeeds.
    /// </summary>
    public const string Sql = $"""
        WITH subject AS (
            SELECT e.id, e.environment_id, e.started_at, {ResultsService.IsFinal} AS is_final
            FROM experiments e
            LEFT JOIN results r ON r.experiment_id = e.id
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
        ), turn AS (
            INSERT INTO result_refreshes AS r (experiment_id, requested_at)
            SELECT id, clock_timestamp() FROM subject WHERE started_at IS NOT NULL AND NOT is_final
            ON CONFLICT (experiment_id) DO UPDATE SET requested_at = clock_timestamp()
            WHERE r.requested_at + @Interval <= clock_timestamp()
            RETURNING r.experiment_id
        ), logged AS (
            INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id)
            SELECT s.environment_id, @Actor, @RequestId, @Address, 'experiment.results_refreshed', 'experiment', s.id
            FROM subject s JOIN turn t ON t.experiment_id = s.id
        )
        SELECT s.started_at IS NOT NULL AS has_started, s.is_final, EXISTS (SELECT FROM turn) AS is_taken,
               (SELECT extract(epoch FROM r.requested_at + @Interval - clock_timestamp())::float8 FROM result_refreshes r
                   WHERE r.experiment_id = s.id) AS wait
        FROM subject s
        """;

    // How long to wait for events that have just been ingested.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

    /// <summary>How long a request waits for a read of a warehouse, which goes on after that.</summary>
    public static readonly TimeSpan ReadPatience = TimeSpan.FromMilliseconds(1500);

    /// <summary>Refreshes the results. Returns the reason if they were not refreshed.</summary>
    public async Task<ProblemResult?> Run(CommandScope scope, long experimentId, CancellationToken ct)
    {
        var turn = await db.Change<Turn>(
            Sql,
            new
            {
                Id = experimentId,
                scope,
                results.Late,
                results.Interval,
            },
            ct
        );
        switch (turn)
        {
            case null:
                return Problem.NoExperiment;
            case { HasStarted: false }:
                return Problem.NotStarted;
            case { IsFinal: true }:
                return Problem.ResultsFinal;
            case { IsTaken: false }:
                return new ProblemResult(Problem.TooSoon, Problem.TooSoon.Advice)
                {
                    RetryAfter = Math.Max(1, (int)Math.Ceiling(turn.Wait ?? 1)),
                };
        }

        await db.Elsewhere(async () =>
        {
            await worker.CatchUp(Patience, ct);
            await warehouse.Read(experimentId, isAsked: true, ReadPatience, ct);
            // A computation that is already running may not include the caller's latest events.
            Computation computation;
            while ((computation = await results.Compute(experimentId, isLook: false, ct)) == Computation.Busy)
            {
                await Task.Delay(50, ct);
            }

            return computation;
        });
        return null;
    }

    private sealed record Turn(bool HasStarted, bool IsFinal, bool IsTaken, double? Wait);
}
