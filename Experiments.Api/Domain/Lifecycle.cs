namespace Experiments.Api.Domain;

/// <summary>The state machine of an experiment: the only place that knows which move is legal.</summary>
internal static class Lifecycle
{
    /// <summary>The status after <paramref name="action"/>, or null when it is not allowed in <paramref name="status"/>.</summary>
    public static ExperimentStatus? After(ExperimentStatus status, ExperimentAction action) =>
        (status, action) switch
        {
            (ExperimentStatus.Created or ExperimentStatus.Paused, ExperimentAction.Start) => ExperimentStatus.Running,
            (ExperimentStatus.Running, ExperimentAction.Pause) => ExperimentStatus.Paused,
            (ExperimentStatus.Running or ExperimentStatus.Paused, ExperimentAction.Complete) => ExperimentStatus.Completed,
            _ => null,
        };

    /// <summary>The statuses, as stored, from which <paramref name="action"/> is allowed.</summary>
    public static string[] Sources(ExperimentAction action) =>
        [.. Enum.GetValues<ExperimentStatus>().Where(status => After(status, action) is not null).Select(Words.Of)];

    /// <summary>The actions, as on the wire, that are allowed in <paramref name="status"/>.</summary>
    public static string[] Allowed(ExperimentStatus status) =>
        [.. Enum.GetValues<ExperimentAction>().Where(action => After(status, action) is not null).Select(Words.Of)];
}
