namespace Experiments.Api.Warehouse;

/// <summary>A connection as it is stored.</summary>
internal record WarehouseConnection
{
    public const string PostgreSql = "postgresql";
    public const string ClickHouse = "clickhouse";

    public static readonly string[] Kinds = [PostgreSql, ClickHouse];

    /// <summary>Selects this from a connection <c>c</c>.</summary>
    public const string Columns = "c.id, c.project_id, c.kind, c.host, c.port, c.database, c.username, c.password, c.tls";

    public long Id { get; init; }

    /// <summary>The project that it belongs to.</summary>
    public long ProjectId { get; init; }

    /// <summary>The kind of the warehouse, a word of <see cref="Kinds"/>.</summary>
    public string Kind { get; init; } = "";

    /// <summary>The name or the address of its host.</summary>
    public string Host { get; init; } = "";

    /// <summary>Its port; of ClickHouse, that of its HTTP interface.</summary>
    public int Port { get; init; }

    /// <summary>The database in which names of tables are looked up.</summary>
    public string Database { get; init; } = "";

    public string Username { get; init; } = "";

    /// <summary>The encrypted password.</summary>
    public byte[] Password { get; init; } = [];

    /// <summary>Whether the connection is encrypted, and the certificate checked.</summary>
    public bool Tls { get; init; }
}
