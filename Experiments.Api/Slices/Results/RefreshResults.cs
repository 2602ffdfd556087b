using Experiments.Api.Aggregation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Results;
using MediatR;

namespace Experiments.Api.Slices.Results;

/// <summary>Requests a refresh of the results.</summary>
internal static class RefreshResults
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/results/refresh",
                (ObjectId id, RequestContext context) => context.Accept(() => new Command(context.Scope, id.Value))
            )
            .Named("refreshResults", "Refresh the results")
            .Produces(StatusCodes.Status202Accepted)
            .Refuses(Problem.NoExperiment, Problem.NotStarted, Problem.ResultsFinal, Problem.TooSoon);

    internal sealed record Command(Scope Scope, long Id) : IRequest<Outcome<Nothing>>;

    internal sealed class Handler(Db db, AggregationWorker worker, ResultsService results) : IRequestHandler<Command, Outcome<Nothing>>
    {
        private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(500);

        // One statement looks and takes the turn, so that of many that ask at once one is let in.
        private const string Sql = """
            WITH subject AS (
                SELECT e.id, e.started_at, COALESCE(r.as_of > e.ended_at + @Late + interval '10 seconds', false) AS is_final
                FROM experiments e
                LEFT JOIN results r ON r.experiment_id = e.id
                WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            ), turn AS (
                INSERT INTO results AS r (experiment_id, refresh_requested_at)
                SELECT id, clock_timestamp() FROM subject WHERE started_at IS NOT NULL AND NOT is_final
                ON CONFLICT (experiment_id) DO UPDATE SET refresh_requested_at = excluded.refresh_requested_at
                WHERE r.refresh_requested_at IS NULL OR r.refresh_requested_at + @Interval <= excluded.refresh_requested_at
                RETURNING r.experiment_id
            )
            SELECT s.started_at IS NOT NULL AS has_started, s.is_final, EXISTS (SELECT FROM turn) AS is_taken,
                   (SELECT extract(epoch FROM r.refresh_requested_at + @Interval - clock_timestamp())::float8 FROM results r
                       WHERE r.experiment_id = s.id) AS wait
            FROM subject s
            """;

        public async Task<Outcome<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.Change<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope.EnvironmentId,
                    results.Late,
                    results.Interval,
                },
                cancellationToken
            );
            switch (row)
            {
                case null:
                    return Problem.NoExperiment;
                case { HasStarted: false }:
                    return Problem.NotStarted;
                case { IsFinal: true }:
                    return Problem.ResultsFinal;
                case { IsTaken: false }:
                    return new Refusal(Problem.TooSoon, Problem.TooSoon.Advice)
                    {
                        RetryAfter = Math.Max(1, (int)Math.Ceiling(row.Wait ?? 1)),
                    };
            }

            await worker.CatchUp(Patience, cancellationToken);
            var computing = results.Compute(command.Id, db.IsInTransaction ? CancellationToken.None : cancellationToken);
            // What was asked for under a key is kept when the answer is, and only then are there results to be kept beside it.
            if (!db.IsInTransaction)
            {
                await computing;
            }

            return Nothing.Value;
        }

        private sealed record Row(bool HasStarted, bool IsFinal, bool IsTaken, double? Wait);
    }
}
