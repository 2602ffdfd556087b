using Experiments.Api.Platform.Data;

namespace Experiments.Api.Warehouse;

/// <summary>The source of an experiment with its connection, as they are stored.</summary>
internal sealed record ExperimentSourceRow : WarehouseConnection
{
    /// <summary>Selects this of an experiment <c>e</c>; what follows is the condition.</summary>
    public const string Select = $"""
        SELECT {Columns}, e.source::text AS source, f.name AS feature, e.started_at
        FROM experiments e
        JOIN features f ON f.id = e.feature_id
        LEFT JOIN warehouse_connections c ON c.id = e.connection_id AND c.deleted_at IS NULL
        """;

    /// <summary>The tables, as JSON; null for an experiment that is counted from the events of the service.</summary>
    public string? Source { get; init; }

    /// <summary>The name of the feature of the experiment.</summary>
    public string Feature { get; init; } = "";

    public DateTime? StartedAt { get; init; }

    /// <summary>The queries over its tables.</summary>
    /// <exception cref="WarehouseException">The connection has been deleted.</exception>
    public WarehouseQuery Query() =>
        Id == 0
            ? throw new WarehouseException("The warehouse connection of the experiment has been deleted.")
            : new(WarehouseClient.DialectOf(Kind), StoredJson.Read<WarehouseSource>(Source!), Feature);
}
