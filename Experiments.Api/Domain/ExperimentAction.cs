namespace Experiments.Api.Domain;

/// <summary>What can be done to an experiment's status.</summary>
internal enum ExperimentAction
{
    Start,
    Pause,
    Complete,
}
