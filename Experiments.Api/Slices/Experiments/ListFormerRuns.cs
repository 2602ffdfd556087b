using System.Text.Json;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Lists the runs of an experiment that a reset has ended, the latest first, each with what the experiment was and the last results of it.
/// </summary>
internal static class ListFormerRuns
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapGet(
                "/{id}/former-runs",
                context => context.Get(new Query(context.Environment.Id, context.Id, context.Page, context.Address))
            )
            .WithOperation("listFormerRuns", "List the former runs of an experiment that was reset")
            .HasPaging()
            .Returns<Listing<FormerRun>>()
            .FailsWith(Problem.NoExperiment);

    internal sealed record Query(long EnvironmentId, long Id, Page Page, Uri Address) : IRequest<Result<Listing<FormerRun>>>, IPaged;

    /// <summary>A run before a reset.</summary>
    internal record FormerRun
    {
        public required long Id { get; init; }

        public required DateTime StartedAt { get; init; }

        public required DateTime ResetAt { get; init; }

        public required string ResetBy { get; init; }

        /// <summary>The experiment as it was, as the audit log shows it.</summary>
        public required Json<JsonElement> Experiment { get; init; }

        /// <summary>The results as they were last computed; null when they never were.</summary>
        public required Json<JsonElement> Results { get; init; }
    }

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<FormerRun>>>
    {
        private const string Sql = """
            SELECT (SELECT count(*) FROM former_runs n WHERE n.experiment_id = e.id) AS count,
                   r.id, r.started_at, r.reset_at, r.reset_by, r.state::text AS experiment, COALESCE(r.results, 'null')::text AS results
            FROM experiments e
            LEFT JOIN LATERAL (SELECT * FROM former_runs r WHERE r.experiment_id = e.id
                ORDER BY r.id DESC LIMIT @Limit OFFSET @Offset) r ON true
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            ORDER BY r.id DESC
            """;

        public async Task<Result<Listing<FormerRun>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.Id,
                    query.EnvironmentId,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return rows.Count == 0
                ? Problem.NoExperiment
                : query.Page.Of<FormerRun>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : FormerRun
        {
            public long Count { get; init; }
        }
    }
}
