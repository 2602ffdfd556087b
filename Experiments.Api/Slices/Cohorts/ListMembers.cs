using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Cohorts;

/// <summary>Lists the identities of a cohort, by variant.</summary>
internal static class ListMembers
{
    public static void Map(RouteGroupBuilder cohorts) =>
        cohorts
            .MapGet("/{id}/members", context => context.Get(new Query(context.Environment.Id, context.Id, context.Page, context.Address)))
            .WithOperation("listMembers", "List the identities of a cohort")
            .HasPaging()
            .Returns<Listing<Member>>()
            .FailsWith(Problem.NoCohort);

    internal sealed record Query(long EnvironmentId, long Id, Page Page, Uri Address) : IRequest<Result<Listing<Member>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<Member>>>
    {
        // The page is found in the index, which has the order; only its own rows are read.
        private const string Sql = $"""
            WITH cohort AS MATERIALIZED (
                SELECT {CohortView.Columns}, c.experiment_id, {CohortView.Indexes} AS indexes FROM cohorts c
                WHERE c.id = @Id AND c.environment_id = @EnvironmentId
            )
            SELECT c.count, x.identifier, e.variants->x.counts_in->>'key' AS variant, x.enrolled_at AS exposed_at
            FROM cohort c
            JOIN experiments e ON e.id = c.experiment_id
            LEFT JOIN LATERAL (
                SELECT x.* FROM exposures x WHERE x.experiment_id = c.experiment_id AND x.counts_in = ANY (c.indexes)
                ORDER BY x.counts_in, x.identity LIMIT @Limit OFFSET @Offset
            ) x ON true
            ORDER BY x.counts_in, x.identity
            """;

        public async Task<Result<Listing<Member>>> Handle(Query query, CancellationToken cancellationToken)
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
                ? Problem.NoCohort
                : query.Page.Of<Member>(
                    query.Address,
                    rows[0].Count,
                    [
                        .. rows.Where(row => row.Identifier is not null)
                            .Select(row => new Member(row.Identifier!, row.Variant!, row.ExposedAt!.Value)),
                    ]
                );
        }

        private sealed record Row(long Count, string? Identifier, string? Variant, DateTime? ExposedAt);
    }
}
