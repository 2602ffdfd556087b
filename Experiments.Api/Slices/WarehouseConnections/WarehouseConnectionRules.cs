using Experiments.Api.Platform.Http;
using Experiments.Api.Warehouse;
using FluentValidation;

namespace Experiments.Api.Slices.WarehouseConnections;

/// <summary>What holds for the fields of a connection, however they are written.</summary>
internal static class WarehouseConnectionRules
{
    private const int LongestPassword = 1000;

    public static IRuleBuilderOptions<T, string?> Host<T>(this IRuleBuilder<T, string?> rule, AllowedHosts hosts) =>
        rule.Must(host => host is null || hosts.Includes(host.Trim()))
            .WithMessage("This host is not among those that the operator allows (Warehouse:AllowedHosts).");

    public static IRuleBuilderOptions<T, int?> Port<T>(this IRuleBuilder<T, int?> rule) =>
        rule.InclusiveBetween(1, 65_535).WithMessage("This must be from 1 to 65535.");

    public static IRuleBuilderOptions<T, string?> Password<T>(this IRuleBuilder<T, string?> rule) =>
        rule.Must(password =>
                password is null || (Rules.Fits(password, LongestPassword) && !password.Contains('\0', StringComparison.Ordinal))
            )
            .WithMessage($"This may have {LongestPassword} characters at most, and no NUL.");

    /// <summary>The port that a kind of warehouse usually has.</summary>
    public static int PortOf(string kind, bool tls) =>
        kind == WarehouseConnection.PostgreSql ? 5432
        : tls ? 8443
        : 8123;
}
