namespace Experiments.Api.Warehouse;

/// <summary>A connection as it is stored.</summary>
/// <param name="Id">Its id.</param>
/// <param name="ProjectId">The project that it belongs to.</param>
/// <param name="Kind">The kind of the warehouse, a word of <see cref="Kinds"/>.</param>
/// <param name="Host">The name or the address of its host.</param>
/// <param name="Port">Its port; of ClickHouse, that of its HTTP interface.</param>
/// <param name="Database">The database in which names of tables are looked up.</param>
/// <param name="Username">The user.</param>
/// <param name="Password">The encrypted password.</param>
/// <param name="Tls">Whether the connection is encrypted, and the certificate checked.</param>
internal sealed record WarehouseConnection(
    long Id,
    long ProjectId,
    string Kind,
    string Host,
    int Port,
    string Database,
    string Username,
    byte[] Password,
    bool Tls
)
{
    public const string PostgreSql = "postgresql";
    public const string ClickHouse = "clickhouse";

    public static readonly string[] Kinds = [PostgreSql, ClickHouse];

    /// <summary>Selects this from a connection <c>c</c>.</summary>
    public const string Columns = "c.id, c.project_id, c.kind, c.host, c.port, c.database, c.username, c.password, c.tls";
}
