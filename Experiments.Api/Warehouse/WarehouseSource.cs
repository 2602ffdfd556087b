using Experiments.Api.Platform.Http;

namespace Experiments.Api.Warehouse;

/// <summary>The tables of a warehouse that an experiment is counted from.</summary>
/// <param name="Assignments">Who was assigned to which variant.</param>
/// <param name="Events">What they did.</param>
internal sealed record WarehouseSource(AssignmentsTable? Assignments = null, EventsTable? Events = null);

/// <summary>A table with a row for each time that somebody was assigned to, or shown, a variant.</summary>
/// <param name="Table">Its name, with its schema or database before a dot if it needs one.</param>
/// <param name="Unit">The column that says who: the identifier of whatever is assigned.</param>
/// <param name="Variant">The column with the key of the variant.</param>
/// <param name="At">The column that says when; an instant without a time zone is UTC.</param>
/// <param name="Experiment">The column that says of which experiment the row is, if the table has several.</param>
/// <param name="ExperimentKey">What that column has for this experiment; the name of its feature if absent.</param>
/// <param name="Traits">Columns that are traits, for breakdowns and test identities.</param>
internal sealed record AssignmentsTable(
    [property: Must(Required = true, MaxLength = 255)] string? Table = null,
    [property: Must(Required = true, MaxLength = 255)] string? Unit = null,
    [property: Must(Required = true, MaxLength = 255)] string? Variant = null,
    [property: Must(Required = true, MaxLength = 255)] string? At = null,
    [property: Must(MaxLength = 255)] string? Experiment = null,
    [property: Must(MaxLength = 255)] string? ExperimentKey = null,
    [property: Must(MaxItems = 20)] IReadOnlyList<string?>? Traits = null
);

/// <summary>A table with a row for each event.</summary>
/// <param name="Table">Its name, with its schema or database before a dot if it needs one.</param>
/// <param name="Unit">The column that says who, as in the assignments.</param>
/// <param name="Event">The column with the name of the event.</param>
/// <param name="At">The column that says when; an instant without a time zone is UTC.</param>
/// <param name="Value">The column with the value, if events have one.</param>
/// <param name="Metadata">A column of JSON, whose members are <c>metadata.</c> and their name to metrics.</param>
/// <param name="Properties">Columns that are members of the metadata.</param>
internal sealed record EventsTable(
    [property: Must(Required = true, MaxLength = 255)] string? Table = null,
    [property: Must(Required = true, MaxLength = 255)] string? Unit = null,
    [property: Must(Required = true, MaxLength = 255)] string? Event = null,
    [property: Must(Required = true, MaxLength = 255)] string? At = null,
    [property: Must(MaxLength = 255)] string? Value = null,
    [property: Must(MaxLength = 255)] string? Metadata = null,
    [property: Must(MaxItems = 50)] IReadOnlyList<string?>? Properties = null
);
