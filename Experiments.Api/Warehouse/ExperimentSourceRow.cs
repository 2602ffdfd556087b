using Experiments.Api.Platform.Data;

namespace Experiments.Api.Warehouse;

/// <summary>The source of an experiment with its connection, as they are stored.</summary>
internal sealed record ExperimentSourceRow : WarehouseConnection
{
    /// <summary>A hash of all that a read of an experiment <c>e</c> depends on.</summary>
    public const string DefinitionHash = """
        md5(concat_ws('|', e.source, e.started_at, e.runs,
            (SELECT concat_ws('|', d.id, d.kind, d.host, d.port, d.database, d.username, d.password, d.tls, d.deleted_at)
                FROM warehouse_connections d WHERE d.id = e.connection_id),
            (SELECT string_agg(concat_ws('|', l.id, l.definition), '|' ORDER BY l.id) FROM experiment_metrics l
                WHERE l.experiment_id = e.id)))
        """;

    /// <summary>Selects this of an experiment <c>e</c>; what follows is the condition.</summary>
    public const string Select = $"""
        SELECT {Columns}, e.source::text AS source, f.name AS feature, {DefinitionHash} AS definition
        FROM experiments e
        JOIN features f ON f.id = e.feature_id
        LEFT JOIN warehouse_connections c ON c.id = e.connection_id AND c.deleted_at IS NULL
        """;

    /// <summary>The tables, as JSON; null for an experiment that is counted from the events of the service.</summary>
    public string? Source { get; init; }

    /// <summary>The name of the feature of the experiment.</summary>
    public string Feature { get; init; } = "";

    /// <summary>The <see cref="DefinitionHash"/>.</summary>
    public string Definition { get; init; } = "";

    /// <summary>The queries over its tables.</summary>
    /// <exception cref="WarehouseException">The connection has been deleted.</exception>
    public WarehouseQuery Query() =>
        Id == 0
            ? throw new WarehouseException("The warehouse connection of the experiment has been deleted.")
            : new(WarehouseClient.DialectOf(Kind), StoredJson.Read<WarehouseSource>(Source!), Feature);
}
