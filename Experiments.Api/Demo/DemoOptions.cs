namespace Experiments.Api.Demo;

/// <summary>The section <c>Demo</c> of the configuration.</summary>
internal sealed class DemoOptions
{
    public const string Section = "Demo";

    /// <summary>Whether a demo project is made. By default only in Development, with the embedded PostgreSQL.</summary>
    public bool? Enabled { get; set; }

    /// <summary>Whether visitors go on coming once it is filled.</summary>
    public bool Live { get; set; }
}
