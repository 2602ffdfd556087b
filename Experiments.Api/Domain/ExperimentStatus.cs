namespace Experiments.Api.Domain;

/// <summary>Where an experiment is in its life.</summary>
internal enum ExperimentStatus
{
    Created,
    Running,
    Paused,
    Completed,
}
