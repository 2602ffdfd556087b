using Experiments.Api.Platform.Data;

namespace Experiments.Api.Platform.Access;

/// <summary>What the audit log keeps about who made a change.</summary>
/// <param name="Actor">The name of the actor.</param>
/// <param name="RequestId">The <c>X-Request-Id</c> of the request; null outside of requests.</param>
/// <param name="Address">The client's IP address, as far as proxies forward it; null outside of requests.</param>
internal sealed record Caller(string Actor, string? RequestId, string? Address) : IParameterGroup
{
    /// <summary>The service itself.</summary>
    public static readonly Caller Service = new(Access.Actor.Service, null, null);

    public static Caller Of(HttpContext http) =>
        new(Access.Actor.Of(http.User).Name, http.TraceIdentifier, ClientAddress.Of(http)?.ToString());
}
