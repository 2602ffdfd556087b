namespace Experiments.Api.MetricDefinitions;

/// <summary>What a metric is to an experiment.</summary>
internal enum MetricRole
{
    /// <summary>The one that decides; an experiment has at most one.</summary>
    Primary,

    Secondary,

    /// <summary>One that must not get worse.</summary>
    Guardrail,
}
