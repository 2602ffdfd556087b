namespace Experiments.Api.Warehouse;

/// <summary>The source of an experiment with its connection, as they are stored. The id is 0 where the connection was deleted.</summary>
internal sealed record ExperimentSourceRow
{
    public long Id { get; init; }

    public long ProjectId { get; init; }

    public string Kind { get; init; } = "";

    public string Host { get; init; } = "";

    public int Port { get; init; }

    public string Database { get; init; } = "";

    public string Username { get; init; } = "";

    public byte[] Password { get; init; } = [];

    public bool Tls { get; init; }

    /// <summary>The tables, as JSON.</summary>
    public string? Source { get; init; }

    public DateTime? StartedAt { get; init; }

    /// <summary>The name of the feature of the experiment.</summary>
    public string Feature { get; init; } = "";

    public WarehouseConnection Connection => new(Id, ProjectId, Kind, Host, Port, Database, Username, Password, Tls);
}
