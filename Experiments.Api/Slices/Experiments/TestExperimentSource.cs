using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Warehouse;
using MediatR;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// Reads from the tables of an experiment's source what they have of the last days, so that a wrong table or column shows before the
/// start.
/// </summary>
internal static class TestExperimentSource
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Span = TimeSpan.FromDays(30);

    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPost(
                "/{id}/source/test",
                context => context.Act<RequestContext.NoBody, Response>(_ => new Query(context.Environment.Id, context.Id))
            )
            .WithTimeLimit((2 * Limit) + TimeSpan.FromSeconds(2))
            .WithOperation("testExperimentSource", "See what the warehouse tables of an experiment have of the last 30 days")
            .Returns<Response>()
            .FailsWith(Problem.NoExperiment, Problem.NoSource, Problem.WarehousesOff, Problem.WarehouseFailed);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<Response>>;

    /// <summary>What was found.</summary>
    /// <param name="Variants">How many assignments each variant has, the 20 with the most.</param>
    /// <param name="Events">How often each event occurs, the 100 most frequent.</param>
    [Example(
        """
            {"variants": [{"name": "control", "rows": 1000}, {"name": "green", "rows": 1012}],
             "events": [{"name": "purchase", "rows": 230}]}
            """
    )]
    internal sealed record Response(IReadOnlyList<NameCount> Variants, IReadOnlyList<NameCount> Events);

    /// <summary>A name in a table.</summary>
    /// <param name="Name">The name; null where the column is empty.</param>
    /// <param name="Rows">How many rows have it.</param>
    internal sealed record NameCount(string? Name, long Rows);

    internal sealed class Handler(Db db, WarehouseClient client, WarehouseTestRunner tests, IOptions<WarehouseOptions> options)
        : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = $"""
            {ExperimentSourceRow.Select}
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            """;

        public async Task<Result<Response>> Handle(Query asked, CancellationToken cancellationToken)
        {
            if (await db.Row<ExperimentSourceRow>(Sql, asked, cancellationToken) is not { } row)
            {
                return Problem.NoExperiment;
            }

            if (row.Source is null)
            {
                return Problem.NoSource;
            }

            if (!options.Value.IsOn)
            {
                return Problem.WarehousesOff;
            }

            return await tests.Run(
                db,
                row.ProjectId,
                async () =>
                {
                    var query = row.Query();
                    var now = DateTimeOffset.UtcNow;
                    var parameters = query.Parameters((now - Span).ToUnixTimeMilliseconds(), now.ToUnixTimeMilliseconds());
                    return new Response(
                        await Counts(row, query.Variants, parameters, cancellationToken),
                        await Counts(row, query.EventNames, parameters, cancellationToken)
                    );
                },
                cancellationToken
            );
        }

        private async Task<IReadOnlyList<NameCount>> Counts(
            ExperimentSourceRow row,
            string sql,
            Dictionary<string, object> parameters,
            CancellationToken ct
        )
        {
            var counts = new List<NameCount>();
            await client.Read(
                row,
                sql,
                parameters,
                one => counts.Add(new(one.IsDBNull(0) ? null : one.GetValue(0) as string, Convert.ToInt64(one.GetValue(1), null))),
                Limit,
                ct
            );
            return counts;
        }
    }
}
