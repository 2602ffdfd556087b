namespace Experiments.Api.Platform.Access;

/// <summary>What somebody may do in an environment, a project or the instance. Each role includes the one before it.</summary>
internal enum Role
{
    /// <summary>Reads everything but keys and admins.</summary>
    Viewer,

    /// <summary>Also changes experiments, metrics, holdouts, features and cohorts.</summary>
    Editor,

    /// <summary>Also changes keys, admins and environments, and exports and erases identities.</summary>
    Admin,
}

/// <summary>The words of roles, and those of the scopes of API keys.</summary>
internal static class Roles
{
    private static readonly string[] Scopes = ["read", "write", "admin"];

    /// <summary>The words of roles, from the least to the most.</summary>
    public static readonly string[] Words = ["viewer", "editor", "admin"];

    public static string WordOf(Role role) => Words[(int)role];

    public static Role? Parse(string? word) => Array.IndexOf(Words, word) is >= 0 and var index ? (Role)index : null;

    /// <summary>The words of scopes, from the least to the most.</summary>
    public static IReadOnlyList<string> KnownScopes => Scopes;

    /// <summary>The role that these scopes amount to.</summary>
    public static Role OfScopes(IReadOnlyCollection<string> scopes) => (Role)scopes.Max(scope => Array.IndexOf(Scopes, scope));

    /// <summary>All scopes that a role includes.</summary>
    public static string[] ScopesOf(Role role) => Scopes[..((int)role + 1)];

    /// <summary>The role that an endpoint needs: its own, or else that of a viewer to read and of an editor to change.</summary>
    public static Role Needed(HttpContext http) =>
        http.GetEndpoint()?.Metadata.GetMetadata<NeedsRole>()?.Role ?? (HttpMethods.IsGet(http.Request.Method) ? Role.Viewer : Role.Editor);

    /// <summary>Every route of the group needs this role, those that only read as well.</summary>
    public static RouteGroupBuilder RequireRole(this RouteGroupBuilder group, Role role) => group.WithMetadata(new NeedsRole(role));

    private sealed record NeedsRole(Role Role);
}

/// <summary>Why a caller is refused who may do something here, but not this.</summary>
internal sealed record RoleTooLow(Role Needed, Role Has)
{
    public string Explain() => $"This needs the role {Roles.WordOf(Needed)}, and yours is {Roles.WordOf(Has)}. Ask an admin for it.";
}
