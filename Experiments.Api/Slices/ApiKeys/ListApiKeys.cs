using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.ApiKeys;

/// <summary>Lists the keys of an environment, a project or the instance, newest first, the revoked ones too, and never a secret.</summary>
internal static class ListApiKeys
{
    public static void Map(RouteGroupBuilder keys, string scope) =>
        keys.MapGet("/", context => context.Get(new Query(context.Tenant, context.Page, context.Address)))
            .WithOperation($"list{scope}ApiKeys", $"List the API keys of the {scope.ToLowerInvariant()}, without secrets")
            .HasPaging()
            .Returns<Listing<ApiKeyView>>();

    internal sealed record Query(TenantScope Scope, Page Page, Uri Address) : IRequest<Result<Listing<ApiKeyView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<ApiKeyView>>>
    {
        private const string Sql = $"""
            SELECT total.count, {ApiKeyView.Columns}
            FROM (SELECT count(*) FROM api_keys t WHERE {TenantScope.Within}) total
            LEFT JOIN (
                SELECT * FROM api_keys t WHERE {TenantScope.Within} ORDER BY id DESC LIMIT @Limit OFFSET @Offset
            ) k ON true
            ORDER BY k.id DESC
            """;

        public async Task<Result<Listing<ApiKeyView>>> Handle(Query query, CancellationToken cancellationToken)
        {
            var rows = await db.Rows<Row>(
                Sql,
                new
                {
                    query.Scope,
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
