using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using MediatR;

namespace Experiments.Api.Slices.Features;

/// <summary>Reads one feature with all environments of its project.</summary>
internal static class GetProjectFeature
{
    public static void Map(RouteGroupBuilder project) =>
        project
            .MapGet("/features/{feature}", context => context.Get(new Query(context.Id, context.RouteId("feature"))))
            .WithTags("Features")
            .WithOperation("getProjectFeature", "Read a feature with all environments of its project")
            .Returns<ProjectFeatureView>()
            .FailsWith(Problem.NoFeature);

    internal sealed record Query(long ProjectId, long Id) : IRequest<Result<ProjectFeatureView>>;

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<ProjectFeatureView>>
    {
        private const string Sql = $"""
            SELECT {ProjectFeatureView.Columns} FROM features f
            WHERE f.id = @Id AND f.project_id = @ProjectId AND f.deleted_at IS NULL
            """;

        public async Task<Result<ProjectFeatureView>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<ProjectFeatureView>(Sql, query, cancellationToken) is { } feature ? feature : Problem.NoFeature;
    }
}
