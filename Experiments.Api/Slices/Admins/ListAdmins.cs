using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Admins;

/// <summary>
/// Lists those who have a role in an environment, a project or the instance, newest first; not those of what it belongs to.
/// </summary>
internal static class ListAdmins
{
    public static void Map(RouteGroupBuilder admins, string scope) =>
        admins
            .MapGet("/", context => context.Get(new Query(context.Tenant, context.Page, context.Address)))
            .WithOperation($"list{scope}Admins", $"List the admins of the {scope.ToLowerInvariant()}, newest first")
            .HasPaging()
            .Returns<Listing<AdminView>>();

    internal sealed record Query(TenantScope Scope, Page Page, Uri Address) : IRequest<Result<Listing<AdminView>>>, IPaged;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => this.RulesForPage();
    }

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Listing<AdminView>>>
    {
        private const string Sql = $"""
            WITH found AS MATERIALIZED (
                SELECT {AdminView.Columns} FROM (SELECT * FROM admins t WHERE {TenantScope.Within}) a
            )
            SELECT total.count, {AdminView.Columns}
            FROM (SELECT count(*) FROM found) total
            LEFT JOIN (SELECT * FROM found ORDER BY id DESC LIMIT @Limit OFFSET @Offset) a ON true
            ORDER BY a.id DESC
            """;

        public async Task<Result<Listing<AdminView>>> Handle(Query query, CancellationToken cancellationToken)
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
            return query.Page.Of<AdminView>(query.Address, rows[0].Count, [.. rows.Where(row => row.Id > 0)]);
        }

        private sealed record Row : AdminView
        {
            public long Count { get; init; }
        }
    }
}
