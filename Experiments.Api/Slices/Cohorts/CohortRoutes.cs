using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Cohorts;

internal static class CohortRoutes
{
    private static readonly ObjectOf Cohort = new(
        "SELECT id FROM cohorts WHERE id = @Id AND environment_id = @EnvironmentId",
        Problem.NoCohort
    );

    public static void MapCohorts(this RouteGroupBuilder environment)
    {
        var cohorts = environment.MapGroup("/cohorts").WithTags("Cohorts").WithMetadata(Cohort);
        ListCohorts.Map(cohorts);
        GetCohort.Map(cohorts);
        DeleteCohort.Map(cohorts);
        ListMembers.Map(cohorts);
        ExportMembers.Map(cohorts);
    }
}
