using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Evaluation;

/// <summary>Not ready if the database has not confirmed the snapshots for too long.</summary>
internal sealed class SnapshotReadiness(Snapshots snapshots) : IReadinessCheck
{
    public string? Problem =>
        snapshots.AreStale
            ? $"The database is unavailable. Flags are served as they were {(long)snapshots.Age.TotalSeconds} seconds ago; everything "
                + "else has to wait."
            : null;
}
