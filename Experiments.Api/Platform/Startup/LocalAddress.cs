namespace Experiments.Api.Platform.Startup;

/// <summary>How a service on this machine is reached by what it listens on.</summary>
internal static class LocalAddress
{
    private static readonly string[] Any = ["[::]", "0.0.0.0", "+", "*"];

    /// <summary>The address with this machine in place of all its addresses.</summary>
    public static string Of(string listening) =>
        Any.Aggregate(listening, (address, any) => address.Replace($"//{any}", "//localhost", StringComparison.Ordinal));
}
