namespace Experiments.Api.Platform.Settings;

/// <summary>The section <c>Results</c> of the configuration.</summary>
internal sealed class ResultsOptions
{
    public const string Section = "Results";

    /// <summary>How long after an experiment's end its late events still count.</summary>
    public TimeSpan LateEvents { get; set; } = TimeSpan.FromHours(24);

    /// <summary>How long after one refresh of an experiment's results the next may be asked for.</summary>
    public TimeSpan MinimumInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// How long after its start a replica looks at the results of all experiments for the first time; then it does hourly.
    /// </summary>
    public TimeSpan FirstLookAfter { get; set; } = TimeSpan.FromMinutes(1);
}
