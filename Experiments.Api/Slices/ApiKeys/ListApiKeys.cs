using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.ApiKeys;

/// <summary>Lists the keys of an environment, newest first, the revoked ones too, and never a secret.</summary>
internal static class ListApiKeys
{
    public static void Map(RouteGroupBuilder keys) =>
        keys.MapGet("/", context => context.Get(new Query(context.Environment.Id, context.Page, context.Address)))
            .WithOperation("listApiKeys", "List the API keys of the environment, without secrets")
            .HasPaging()
            .Returns<Listing<ApiKeyView>>();

    internal sealed record Query(long EnvironmentId, Page Page, Uri Address) : IRequest<Result<Listing<ApiKeyView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<ApiKeyView>>>
    {
        private const string Sql = $"""
            SELECT total.count, {ApiKeyView.Columns}
            FROM (SELECT count(*) FROM api_keys WHERE environment_id = @EnvironmentId) total
            LEFT JOIN (SELECT * FROM api_keys WHERE environment_id = @EnvironmentId ORDER BY id DESC LIMIT @Limit OFFSET @Offset) k ON true
            ORDER BY k.id DESC
            """;

        public async Task<Result<Listing<ApiKeyView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.EnvironmentId,
                    query.Page.Limit,
                    query.Page.Offset,
                },
                cancellationToken
            );
            return query.Page.Of<ApiKeyView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : ApiKeyView
        {
            public long Count { get; init; }
        }
    }
}
