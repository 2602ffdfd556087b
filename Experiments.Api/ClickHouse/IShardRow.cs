namespace Experiments.Api.ClickHouse;

/// <summary>A row of a table that is divided among the shards.</summary>
internal interface IShardRow
{
    /// <summary>The identity by which it is.</summary>
    Guid Identity { get; }
}
