using System.Data.Common;
using System.Globalization;

namespace Experiments.Api.ClickHouse;

/// <summary>The servers that a connection string names: <c>Host=one,two:8124;Port=8123</c>.</summary>
internal static class ClickHouseAddresses
{
    /// <summary>Each by its name and its own connection string.</summary>
    /// <exception cref="InvalidOperationException">A name cannot be one.</exception>
    public static IReadOnlyList<(string Name, string ConnectionString)> Of(string connectionString)
    {
        var settings = new DbConnectionStringBuilder { ConnectionString = connectionString };
        var hosts = settings.TryGetValue("Host", out var named) ? (string)named : "localhost";
        if (hosts.Trim(',', ' ').Length == 0)
        {
            throw new InvalidOperationException("ConnectionStrings:ClickHouse names no host.");
        }

        return
        [
            .. hosts
                .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(host =>
                {
                    // Replicas are called by their address, also in their tables.
                    if (!host.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' or '_' or ':' or '[' or ']'))
                    {
                        throw new InvalidOperationException($"ConnectionStrings:ClickHouse names {host}, which cannot be a host.");
                    }

                    var address = HostString.FromUriComponent(host);
                    var one = new DbConnectionStringBuilder { ConnectionString = connectionString, ["Host"] = address.Host };
                    if (address.Port is { } port)
                    {
                        one["Port"] = port.ToString(CultureInfo.InvariantCulture);
                    }

                    return (host, one.ConnectionString);
                }),
        ];
    }
}
