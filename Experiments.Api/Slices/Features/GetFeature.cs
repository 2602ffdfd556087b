using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>Reads one feature.</summary>
internal static class GetFeature
{
    public static void Map(RouteGroupBuilder features) =>
        features
            .MapGet("/{id}", context => context.Get(new Query(context.Environment.Id, context.Id)))
            .WithOperation("getFeature", "Read a feature")
            .Returns<FeatureView>()
            .FailsWith(Problem.NoFeature);

    internal sealed record Query(long EnvironmentId, long Id) : IRequest<Result<FeatureView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<FeatureView>>
    {
        private const string Sql = $"""
            SELECT {FeatureView.Columns}
            FROM environment_features f
            WHERE f.id = @Id AND f.environment_id = @EnvironmentId AND f.deleted_at IS NULL
            """;

        public async Task<Result<FeatureView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<FeatureView>(Sql, query, cancellationToken) is { } feature ? feature : Problem.NoFeature;
    }
}
