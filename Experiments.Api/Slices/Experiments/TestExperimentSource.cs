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

    internal sealed class Handler(Db db, WarehouseClient client, IOptions<WarehouseOptions> options)
        : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = $"""
            SELECT {WarehouseConnection.Columns}, e.source::text AS source, f.name AS feature
            FROM experiments e
            JOIN features f ON f.id = e.feature_id
            LEFT JOIN warehouse_connections c ON c.id = e.connection_id AND c.deleted_at IS NULL
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
            """;

        public async Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken)
        {
            if (await db.Row<ExperimentSourceRow>(Sql, query, cancellationToken) is not { } row)
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

            if (row.Id == 0)
            {
                return new ProblemResult(Problem.WarehouseFailed, "The warehouse connection of the experiment has been deleted.");
            }

            var queries = new WarehouseQuery(WarehouseClient.DialectOf(row.Kind), StoredJson.Read<WarehouseSource>(row.Source));
            try
            {
                return await db.Elsewhere(() =>
                    client.Test(
                        async () =>
                            new Response(
                                await Counts(
                                    row,
                                    queries.Variants,
                                    queries.NeedsKey ? queries.KeyOr(row.Feature) : null,
                                    cancellationToken
                                ),
                                await Counts(row, queries.EventNames, null, cancellationToken)
                            ),
                        cancellationToken
                    )
                );
            }
            catch (WarehouseException exception)
            {
                return new ProblemResult(Problem.WarehouseFailed, exception.Message);
            }
        }

        private async Task<IReadOnlyList<NameCount>> Counts(ExperimentSourceRow row, string sql, string? key, CancellationToken ct)
        {
            var counts = new List<NameCount>();
            var now = DateTimeOffset.UtcNow;
            var parameters = new Dictionary<string, object>
            {
                [WarehouseQuery.From] = (now - Span).ToUnixTimeMilliseconds(),
                [WarehouseQuery.Until] = now.ToUnixTimeMilliseconds(),
            };
            if (key is not null)
            {
                parameters[WarehouseQuery.ExperimentKey] = key;
            }

            await client.Read(
                row.Connection,
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
