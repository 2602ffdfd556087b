using ClickHouse.Driver;

namespace Experiments.Api.ClickHouse;

/// <summary>That a batch has something of an identity; a row of the table <c>arrivals</c>.</summary>
/// <param name="environmentId">The environment.</param>
/// <param name="batch">The batch.</param>
/// <param name="name">The name of what it has.</param>
/// <param name="identity">The identity.</param>
internal sealed class ClickHouseArrival(long environmentId, long batch, string name, Guid identity) : IShardRow
{
    [ClickHouseColumn(Name = "environment_id", Type = "Int64")]
    public long EnvironmentId { get; } = environmentId;

    [ClickHouseColumn(Name = "batch", Type = "Int64")]
    public long Batch { get; } = batch;

    [ClickHouseColumn(Name = "event", Type = "LowCardinality(String)")]
    public string Event { get; } = name;

    [ClickHouseColumn(Name = "identity", Type = "UUID")]
    public Guid Identity { get; } = identity;
}
