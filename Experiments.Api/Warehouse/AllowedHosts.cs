using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Warehouse;

/// <summary>
/// Which hosts may be connected to. A name is checked by what it resolves to, and the connection is made to just that address, so that a
/// name cannot lead to this machine, its cloud's metadata or a database of the service.
/// </summary>
/// <param name="options">Which the operator allows.</param>
/// <param name="database">The database of the service.</param>
/// <param name="others">Other servers of the service.</param>
internal sealed class AllowedHosts(IOptions<WarehouseOptions> options, DatabaseServer database, IEnumerable<OwnServer> others)
{
    /// <summary>Whether the name of a host is among those that the operator allows.</summary>
    public bool Includes(string host) => Patterns.Any(pattern => Matches(pattern, host));

    /// <summary>The address to connect to.</summary>
    /// <exception cref="WarehouseException">The host is not allowed, or has no address that is.</exception>
    public async Task<IPAddress> Resolve(string host, int port, CancellationToken ct)
    {
        if (!Includes(host))
        {
            throw new WarehouseException($"The host {host} is not among Warehouse:AllowedHosts.");
        }

        IPAddress[] addresses;
        try
        {
            addresses = await Dns.GetHostAddressesAsync(host, ct);
        }
        catch (Exception exception) when (exception is SocketException or ArgumentException)
        {
            throw new WarehouseException($"The host {host} has no address.", exception);
        }

        var own = await Own(ct);
        return addresses
                .Select(Plain)
                .FirstOrDefault(address => IsAllowed(address) && !own.Contains((address, port)) && !own.Contains((address, null)))
            ?? throw new WarehouseException($"The host {host} is this machine, a link-local address or a database of the service.");
    }

    private IEnumerable<string> Patterns =>
        options.Value.AllowedHosts.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    private static bool Matches(string pattern, string host) =>
        pattern.StartsWith("*.", StringComparison.Ordinal)
            ? host.EndsWith(pattern[1..], StringComparison.OrdinalIgnoreCase)
            : host.Equals(pattern, StringComparison.OrdinalIgnoreCase);

    private bool IsAllowed(IPAddress address) =>
        IsThisMachine(address)
            ? options.Value.AllowLoopback
            : !IsLinkLocal(address)
                && !Metadata.Contains(address)
                && !(address.AddressFamily == AddressFamily.InterNetworkV6 && Standing.Any(network => network.Contains(address)))
                && !IsMulticast(address)
                && !address.Equals(IPAddress.Any)
                && !address.Equals(IPAddress.IPv6Any)
                && !address.Equals(IPAddress.Broadcast)
                // The whole of 0.0.0.0/8 is this machine.
                && !(address.AddressFamily == AddressFamily.InterNetwork && address.GetAddressBytes()[0] == 0);

    // Where clouds tell machines their secrets, besides link-local addresses, and addresses of IPv6 that stand for others.
    private static readonly IPAddress[] Metadata =
    [
        IPAddress.Parse("168.63.129.16"),
        IPAddress.Parse("100.100.100.200"),
        IPAddress.Parse("192.0.0.192"),
        IPAddress.Parse("fd00:ec2::254"),
        IPAddress.Parse("fd00:ec2::23"),
        IPAddress.Parse("fd20:ce::254"),
    ];

    private static readonly IPNetwork[] Standing =
    [
        IPNetwork.Parse("64:ff9b::/96"),
        IPNetwork.Parse("64:ff9b:1::/48"),
        IPNetwork.Parse("2002::/16"),
        IPNetwork.Parse("::/96"),
    ];

    // By whatever of its addresses this machine is called.
    private static bool IsThisMachine(IPAddress address) =>
        IPAddress.IsLoopback(address)
        || NetworkInterface
            .GetAllNetworkInterfaces()
            .Any(one => one.GetIPProperties().UnicastAddresses.Any(own => own.Address.Equals(address)));

    private static bool IsLinkLocal(IPAddress address) =>
        address.IsIPv6LinkLocal || (address.AddressFamily == AddressFamily.InterNetwork && address.GetAddressBytes() is [169, 254, ..]);

    private static bool IsMulticast(IPAddress address) =>
        address.IsIPv6Multicast
        || (address.AddressFamily == AddressFamily.InterNetwork && address.GetAddressBytes()[0] is >= 224 and <= 239);

    private static IPAddress Plain(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    private async Task<HashSet<(IPAddress, int?)>> Own(CancellationToken ct)
    {
        var own = new HashSet<(IPAddress, int?)>();
        foreach (var server in OwnServer.Of(new NpgsqlConnectionStringBuilder(database.ConnectionString)).Concat(others))
        {
            try
            {
                own.UnionWith((await Dns.GetHostAddressesAsync(server.Host, ct)).Select(address => (Plain(address), server.Port)));
            }
            catch (SocketException)
            {
                // What cannot be found cannot be connected to either.
            }
        }

        return own;
    }
}
