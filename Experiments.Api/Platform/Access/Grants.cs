using Experiments.Api.Platform.Data;

namespace Experiments.Api.Platform.Access;

/// <summary>
/// What a caller has been granted, as a statement sees it. For lists of what the caller may see; whether a request is allowed at all is the
/// business of <see cref="Policies"/>.
/// </summary>
internal sealed record Grants : IParameterGroup
{
    /// <summary>A row for each grant, with the role: in an environment, in a project, or (with neither) in the instance.</summary>
    public const string Sql = $"""
        granted AS (
            SELECT a.environment_id, a.project_id, a.role FROM admins a WHERE {AccessCache.IsCaller}
            UNION ALL
            SELECT @KeyEnvironmentId::bigint, @KeyProjectId::bigint, @KeyRole::text WHERE @IsKey
        )
        """;

    /// <summary>Whether the caller has a role in all of the project <c>p</c>.</summary>
    public const string InProject =
        "EXISTS (SELECT FROM granted g WHERE g.project_id = p.id OR num_nonnulls(g.environment_id, g.project_id) = 0)";

    /// <summary>Whether the caller has a role in the environment <c>e</c>.</summary>
    public const string InEnvironment =
        "EXISTS (SELECT FROM granted g WHERE g.environment_id = e.id OR g.project_id = e.project_id "
        + "OR num_nonnulls(g.environment_id, g.project_id) = 0)";

    /// <summary>Whether the caller has a role in the project <c>p</c>, or in one of its environments.</summary>
    public const string InPartOfProject =
        $"({InProject} OR EXISTS (SELECT FROM environments e WHERE e.project_id = p.id AND e.deleted_at IS NULL AND {InEnvironment}))";

    public required string? Subject { get; init; }

    public required string? Issuer { get; init; }

    public required bool IsOfOnlyIssuer { get; init; }

    public required bool IsKey { get; init; }

    public required long? KeyEnvironmentId { get; init; }

    public required long? KeyProjectId { get; init; }

    public required string KeyRole { get; init; }

    public static Grants Of(Actor actor) =>
        new()
        {
            Subject = actor.Subject,
            Issuer = actor.Issuer,
            IsOfOnlyIssuer = actor.IsOfOnlyIssuer,
            // Not merely no person: what is neither person nor key has no grants.
            IsKey = actor.IsInstanceKey || actor.EnvironmentId is not null || actor.ProjectId is not null,
            KeyEnvironmentId = actor.EnvironmentId,
            KeyProjectId = actor.ProjectId,
            KeyRole = Roles.WordOf(actor.KeyRole),
        };
}
