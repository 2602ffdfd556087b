using System.Text.Json;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Warehouse;

namespace Experiments.Api.Slices.Experiments;

/// <summary>The warehouse that an experiment is counted from, instead of the events that are sent to the service.</summary>
/// <param name="Connection">The connection of the project, by its id.</param>
/// <param name="Assignments">Who was assigned to which variant.</param>
/// <param name="Events">What they did.</param>
internal sealed record ExperimentSource(
    [property: Must(Required = true)] long? Connection = null,
    AssignmentsTable? Assignments = null,
    EventsTable? Events = null
)
{
    /// <summary>Selects that of an experiment <c>e</c>, as JSON.</summary>
    public const string OfExperiment = "COALESCE(jsonb_build_object('connection', e.connection_id) || e.source, 'null'::jsonb)";

    /// <summary>Whether the connection is one of the project of the environment, as <c>warehouse</c> with its id.</summary>
    public const string Found = """
        warehouse AS (
            SELECT w.id FROM warehouse_connections w JOIN environments n ON n.project_id = w.project_id
            WHERE n.id = @EnvironmentId AND w.id = @Connection AND w.deleted_at IS NULL FOR SHARE OF w
        )
        """;

    public static readonly ProblemResult NoConnection = ProblemResult.Field(
        "source.connection",
        "The project has no warehouse connection with this id."
    );

    public const string Excludes =
        "An experiment that is counted from a warehouse takes who is in which variant from there: it has no holdout, no exposure event and "
        + "the native hashing.";

    public static void Check(ExperimentSource? source, Action<string, string> wrong)
    {
        if (source is null)
        {
            return;
        }

        if (source.Connection is null)
        {
            wrong("source.connection", "This is required: the id of a warehouse connection of the project.");
        }

        WarehouseSourceRules.Check("source", new(source.Assignments, source.Events), wrong);
    }

    /// <summary>The same of a new experiment, with what does not go together with a warehouse.</summary>
    public static void Check(
        ExperimentSource? source,
        long? holdout,
        string? hashing,
        ExposureCriteria? exposure,
        Action<string, string> wrong
    )
    {
        Check(source, wrong);
        foreach (
            var (field, isGiven) in new[]
            {
                ("holdout", holdout is not null),
                ("hashing", hashing is not (null or "native")),
                ("exposure.event", exposure?.Event is not null),
            }
        )
        {
            if (source is not null && isGiven)
            {
                wrong(field, Excludes);
            }
        }
    }

    /// <summary>The tables as they are stored.</summary>
    public static string? Stored(ExperimentSource? source) =>
        source is null ? null : JsonSerializer.Serialize(new WarehouseSource(source.Assignments, source.Events), ExperimentRules.Sparse);
}
