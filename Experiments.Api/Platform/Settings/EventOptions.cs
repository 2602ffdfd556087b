namespace Experiments.Api.Platform.Settings;

/// <summary>The section <c>Events</c> of the configuration.</summary>
internal sealed class EventOptions
{
    public const string Section = "Events";

    /// <summary>How long events are kept that no experiment needs.</summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(400);
}
