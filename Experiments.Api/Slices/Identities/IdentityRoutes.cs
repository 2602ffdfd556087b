using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using FluentValidation;

namespace Experiments.Api.Slices.Identities;

internal static class IdentityRoutes
{
    public static void MapIdentities(this RouteGroupBuilder environment)
    {
        var identities = environment.MapGroup("/identities").WithTags("Identities").RequireRole(Role.Admin);
        ExportIdentity.Map(identities);
        EraseIdentity.Map(identities);
    }
}

/// <summary>Names an identity in a body, because an address would be logged.</summary>
internal sealed record IdentityBody([property: Must(Required = true, MaxLength = 2000)] string? Identifier = null)
{
    public const string Example = """{"identifier": "user-1"}""";

    /// <summary>The rules of an identifier, as events have them.</summary>
    public static void Check<T>(IRuleBuilder<T, string?> rule) =>
        rule.Must(identifier => !string.IsNullOrEmpty(identifier) && !identifier.Contains('\0', StringComparison.Ordinal))
            .WithMessage("This is required: the identifier that events and exposures have.")
            .MaxCharacters(2000);
}
