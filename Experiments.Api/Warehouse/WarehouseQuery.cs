namespace Experiments.Api.Warehouse;

/// <summary>
/// The queries over the tables of an experiment's source. They only ever read the columns that it names. Results have no names of their
/// own, which ClickHouse would take for columns.
/// </summary>
/// <param name="dialect">The dialect of the warehouse.</param>
/// <param name="source">The tables.</param>
/// <param name="feature">The name of the feature of the experiment.</param>
internal sealed class WarehouseQuery(WarehouseDialect dialect, WarehouseSource source, string feature)
{
    /// <summary>The names of the parameters.</summary>
    public const string From = "from_ms",
        Until = "until_ms",
        ExperimentKey = "experiment_key",
        Names = "names",
        Slices = "slices",
        Slice = "slice";

    private readonly AssignmentsTable _assignments = source.Assignments!;
    private readonly EventsTable _events = source.Events!;

    /// <summary>The parameters that say which rows: those between two instants in milliseconds since 1970, of this experiment.</summary>
    public Dictionary<string, object> Parameters(long from, long until)
    {
        var parameters = new Dictionary<string, object> { [From] = from, [Until] = until };
        if (IsOfSeveral)
        {
            parameters[ExperimentKey] = _assignments.ExperimentKey ?? feature;
        }

        return parameters;
    }

    // Whether the assignments are of several experiments.
    private bool IsOfSeveral => _assignments.Experiment is not null;

    /// <summary>The assignments between two instants: who, when, to which variant, and the traits as JSON.</summary>
    public string Assignments =>
        $"""
            SELECT {Who(_assignments.Unit!)}, {When(_assignments.At!)},
                {dialect.Text(dialect.Quote(_assignments.Variant!))},
                {Object(null, _assignments.Traits)}
            FROM {dialect.Table(_assignments.Table!)}
            WHERE {IsAssigned} AND {IsInSlice(_assignments.Unit!)}
            """;

    /// <summary>
    /// The events with one of some names, between two instants, of those who were assigned by then, by who and when: who, when, its name,
    /// its value and its metadata as JSON.
    /// </summary>
    public string Events =>
        $"""
            SELECT {Who(_events.Unit!)}, {When(_events.At!)}, {dialect.Text(dialect.Quote(_events.Event!))},
                {(_events.Value is { } value ? dialect.Text(dialect.Quote(value)) : "NULL")},
                {Object(_events.Metadata, _events.Properties)}
            FROM {dialect.Table(_events.Table!)}
            WHERE {IsWanted}
                AND {IsInSlice(_events.Unit!)}
            ORDER BY 1, 2
            """;

    /// <summary>How many assignments there are between two instants.</summary>
    public string CountAssignments => $"SELECT count(*) FROM {dialect.Table(_assignments.Table!)} WHERE {IsAssigned}";

    /// <summary>How many events there are as in <see cref="Events"/>, in all slices.</summary>
    public string CountEvents => $"SELECT count(*) FROM {dialect.Table(_events.Table!)} WHERE {IsWanted}";

    /// <summary>How many assignments each variant has between two instants.</summary>
    public string Variants =>
        $"""
            SELECT {dialect.Text(dialect.Quote(_assignments.Variant!))}, count(*)
            FROM {dialect.Table(_assignments.Table!)} WHERE {IsAssigned} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20
            """;

    /// <summary>How many events have each name between two instants.</summary>
    public string EventNames =>
        $"""
            SELECT {dialect.Text(dialect.Quote(_events.Event!))}, count(*)
            FROM {dialect.Table(_events.Table!)} WHERE {IsInTime(_events.At!)} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 100
            """;

    private string IsAssigned =>
        IsOfSeveral
            ? $"{IsInTime(_assignments.At!)} AND {dialect.Text(dialect.Quote(_assignments.Experiment!))} = "
                + dialect.Parameter(ExperimentKey, ParameterKind.Text)
            : IsInTime(_assignments.At!);

    private string IsWanted =>
        $"""
            {IsInTime(_events.At!)}
                AND {dialect.IsAmong(dialect.Text(dialect.Quote(_events.Event!)), dialect.Parameter(Names, ParameterKind.Texts))}
                AND {Who(_events.Unit!)} {dialect.In} (
                    SELECT {Who(_assignments.Unit!)} FROM {dialect.Table(_assignments.Table!)} WHERE {IsAssigned})
            """;

    private string Who(string column) => dialect.Text(dialect.Quote(column));

    private string When(string column) => dialect.Milliseconds(dialect.Quote(column));

    private string IsInTime(string column) =>
        $"{dialect.IsOfInstants(dialect.Quote(column))}"
        + $" AND {dialect.Quote(column)} >= {dialect.Instant(dialect.Parameter(From, ParameterKind.Number))}"
        + $" AND {dialect.Quote(column)} < {dialect.Instant(dialect.Parameter(Until, ParameterKind.Number))}";

    private string IsInSlice(string unit) =>
        $"{dialect.Slice(Who(unit), dialect.Parameter(Slices, ParameterKind.Number))} = {dialect.Parameter(Slice, ParameterKind.Number)}";

    private string Object(string? json, IReadOnlyList<string?>? columns) =>
        json is not null ? dialect.Json(dialect.Quote(json))
        : columns is { Count: > 0 } ? dialect.JsonObject([.. columns.Select(name => name!)])
        : "NULL";
}
