namespace Experiments.Api.Platform.Settings;

/// <summary>The section <c>Audit</c> of the configuration.</summary>
internal sealed class AuditOptions
{
    public const string Section = "Audit";

    /// <summary>How long entries of the audit log are kept; null for ever.</summary>
    public TimeSpan? Retention { get; set; }
}
