using System.Net;

namespace Experiments.Api.Platform.Access;

/// <summary>The address of the client, as far as proxies forward it.</summary>
internal static class ClientAddress
{
    /// <summary>The address, an IPv4 client's as IPv4: a dual-stack socket reports it mapped. Null for other connections.</summary>
    public static IPAddress? Of(HttpContext http) =>
        http.Connection.RemoteIpAddress is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : http.Connection.RemoteIpAddress;
}
