namespace Experiments.Api.Platform.Startup;

/// <summary>How far the service has come, and whether it is about to go.</summary>
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

    /// <summary>Whether the service was told to stop: it still answers, but no longer wants to be asked.</summary>
    public bool IsDraining
    {
        get => _isDraining;
        set => _isDraining = value;
    }
}
