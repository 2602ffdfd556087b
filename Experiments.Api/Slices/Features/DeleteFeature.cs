using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>Soft-deletes a feature of the project, in all its environments, and frees its name. Completed experiments keep it.</summary>
internal static class DeleteFeature
{
    public static void Map(RouteGroupBuilder features) =>
        features
            .MapDelete("/{id}", context => context.Delete(() => new Command(context.Scope, context.Id)))
            .WithOperation("deleteFeature", "Delete a feature that no active experiment uses")
            .ReturnsNothing()
            .FailsWith(Problem.NoFeature, Problem.Stale, Problem.FeatureInUse);

    internal sealed record Command(CommandScope Scope, long Id) : IRequest<Result<Nothing>>;

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<Nothing>>
    {
        private const string Sql = $"""
            {FeatureView.Lock}

            WITH subject AS (
                SELECT f.*, {FeatureView.State} AS state
                FROM environment_features f
                WHERE f.id = @Id AND f.environment_id = @EnvironmentId AND f.deleted_at IS NULL
            ), verdict AS (
                SELECT COALESCE({FeatureView.Tag} <> ALL (@IfMatch::text[]), false) AS stale,
                       NOT @MayDefine AS forbidden,
                       ARRAY(SELECT n.name FROM experiments e
                           JOIN environments n ON n.id = e.environment_id AND n.deleted_at IS NULL
                           WHERE e.feature_id = f.id AND e.status <> 'completed' AND e.deleted_at IS NULL ORDER BY n.id) AS used_in
                FROM subject f
            ), changed AS (
                UPDATE features f SET deleted_at = clock_timestamp(), version = s.version + 1
                FROM subject s, verdict v
                WHERE f.id = s.id AND NOT v.stale AND NOT v.forbidden AND cardinality(v.used_in) = 0
                RETURNING f.*
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before)
                SELECT s.environment_id, @Actor, @RequestId, @Address, 'feature.deleted', 'feature', c.id, s.state FROM changed c, subject s
            )
            SELECT v.stale, v.forbidden, v.used_in FROM verdict v
            """;

        public async Task<Result<Nothing>> Handle(Command command, CancellationToken cancellationToken)
        {
            var row = await db.ChangeLocked<Row>(
                Sql,
                new
                {
                    command.Id,
                    command.Scope,
                    Everywhere = true,
                },
                cancellationToken
            );

            return row switch
            {
                null => Problem.NoFeature,
                { Forbidden: true } => FeatureView.NotDefined,
                { Stale: true } => Problem.Stale,
                { UsedIn: [_, ..] } => FeatureView.Elsewhere(Problem.FeatureInUse, row.UsedIn),
                _ => Nothing.Value,
            };
        }

        private sealed record Row
        {
            public bool Stale { get; init; }

            public bool Forbidden { get; init; }

            public string[] UsedIn { get; init; } = [];
        }
    }
}
