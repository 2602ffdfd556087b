using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Cohorts;
using Experiments.Api.Slices.Exposures;
using Experiments.Api.Slices.Results;

namespace Experiments.Api.Slices.Experiments;

internal static class ExperimentRoutes
{
    private static readonly ObjectOf Experiment = new(
        "SELECT id FROM experiments WHERE id = @Id AND environment_id = @EnvironmentId AND deleted_at IS NULL",
        Problem.NoExperiment
    );

    public static void MapExperiments(this RouteGroupBuilder environment)
    {
        var experiments = environment.MapGroup("/experiments").WithTags("Experiments").WithMetadata(Experiment);
        ListExperiments.Map(experiments);
        CreateExperiment.Map(experiments);
        CheckFlagImplementation.Map(experiments);
        GetExperiment.Map(experiments);
        PatchExperiment.Map(experiments);
        PatchRollout.Map(experiments);
        DeleteExperiment.Map(experiments);
        StartExperiment.Map(experiments);
        PauseExperiment.Map(experiments);
        CompleteExperiment.Map(experiments);
        ListExperimentMetrics.Map(experiments);
        AttachMetric.Map(experiments);
        GetExperimentMetric.Map(experiments);
        PatchExperimentMetric.Map(experiments);
        DetachMetric.Map(experiments);
        GetExposures.Map(experiments);
        ListSummaries.Map(experiments);
        GetResults.Map(experiments);
        RefreshResults.Map(experiments);
        ListUnits.Map(experiments);
        GetResultsHistory.Map(experiments);
        GetBreakdowns.Map(experiments);
        GetResultsByDay.Map(experiments);
        GetTimeline.Map(experiments);
        PlanExperiment.Map(experiments);
        TestExperimentSource.Map(experiments);
        CreateExposureCohort.Map(experiments);
        DuplicateExperiment.Map(experiments);
        ResetExperiment.Map(experiments);
        ListFormerRuns.Map(experiments);
    }
}
