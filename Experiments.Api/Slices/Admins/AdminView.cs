using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Admins;

/// <summary>An admin as it is read. The subject and the issuer are those of a token.</summary>
[Example(
    """
        {"id": 1, "subject": "alice@example.com", "issuer": "https://login.example", "role": "editor", "created_by": "api-key:1",
            "created_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record AdminView
{
    public const string Columns = "a.id, a.subject, a.issuer, a.role, a.created_by, a.created_at";

    public required long Id { get; init; }

    public required string Subject { get; init; }

    /// <summary>Whose subject it is; null where nobody has said it, and there is only one.</summary>
    public required string? Issuer { get; init; }

    /// <summary><c>viewer</c>, <c>editor</c> or <c>admin</c>.</summary>
    [Words<Role>]
    public required string Role { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }
}
