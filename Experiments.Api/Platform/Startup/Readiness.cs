namespace Experiments.Api.Platform.Startup;

/// <summary>Whether the service has started, and whether it is shutting down.</summary>
internal sealed class Readiness
{
    private volatile bool _hasSchema;
    private volatile bool _isDraining;

    /// <summary>Whether the schema is the one that this build needs.</summary>
    public bool HasSchema
    {
        get => _hasSchema;
        set => _hasSchema = value;
    }

    /// <summary>Whether the service is draining: it still answers requests, but should not get new ones.</summary>
    public bool IsDraining
    {
        get => _isDraining;
        set => _isDraining = value;
    }
}
