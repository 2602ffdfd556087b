using Experiments.Api.Platform.Http;
using Experiments.Api.Warehouse;

namespace Experiments.Api.Slices.WarehouseConnections;

/// <summary>A connection as it is read, without its password.</summary>
[Example(
    """
        {"id": 1, "name": "Analytics", "kind": "clickhouse", "host": "clickhouse.example.com", "port": 8443, "database": "analytics",
            "username": "experiments", "tls": true, "created_by": "alice@example.com", "created_at": "2026-11-22T12:00:00Z",
            "updated_at": "2026-11-22T12:00:00Z"}
        """
)]
internal record WarehouseConnectionView : IIdentified
{
    /// <summary>Selects this view from a connection <c>c</c>.</summary>
    public const string Columns =
        "c.id, c.name, c.kind, c.host, c.port, c.database, c.username, c.tls, c.created_by, c.created_at, c.updated_at";

    /// <summary>What the audit log shows of a connection <c>c</c>.</summary>
    public const string State = """
        jsonb_build_object('name', c.name, 'kind', c.kind, 'host', c.host, 'port', c.port, 'database', c.database, 'username', c.username,
            'tls', c.tls)
        """;

    public required long Id { get; init; }

    public required string Name { get; init; }

    [Words(WarehouseConnection.PostgreSql, WarehouseConnection.ClickHouse)]
    public required string Kind { get; init; }

    /// <summary>A host that the operator allows.</summary>
    public required string Host { get; init; }

    /// <summary>The port; of ClickHouse, that of its HTTP interface.</summary>
    public required int Port { get; init; }

    /// <summary>The database in which the names of tables are looked up.</summary>
    public required string Database { get; init; }

    /// <summary>The user, who may read the tables.</summary>
    public required string Username { get; init; }

    /// <summary>Whether the connection is encrypted, and the certificate of the host checked.</summary>
    public required bool Tls { get; init; }

    public required string CreatedBy { get; init; }

    public required DateTime CreatedAt { get; init; }

    public required DateTime UpdatedAt { get; init; }
}
