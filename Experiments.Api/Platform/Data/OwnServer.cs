using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>A server that holds data of this service, of all tenants.</summary>
/// <param name="Host">The name or the address of its host, which may be in brackets.</param>
/// <param name="Port">Its port; null for all, where it listens on several.</param>
internal sealed record OwnServer(string Host, int? Port)
{
    public string Host { get; } = Host.Trim('[', ']');

    /// <summary>Those of a connection to PostgreSQL, which may name several; none where it leads through a socket.</summary>
    public static IEnumerable<OwnServer> Of(NpgsqlConnectionStringBuilder settings) =>
        from host in (settings.Host ?? "").Split(',', StringSplitOptions.TrimEntries)
        where host is not ['/' or '@', ..] and not ""
        select Of(host, settings.Port);

    // By its host, which may have a port.
    private static OwnServer Of(string host, int port)
    {
        // An address with colons has a port only after brackets.
        var address = host.Count(letter => letter == ':') > 1 && host[0] != '[' ? new HostString(host, port) : new HostString(host);
        return new(address.Host, address.Port ?? port);
    }
}
