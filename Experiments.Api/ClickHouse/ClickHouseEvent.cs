using ClickHouse.Driver;
using Experiments.Api.Ingestion;

namespace Experiments.Api.ClickHouse;

/// <summary>An event as it is written; a row of the table <c>events</c>. What its columns mean is said where they are made.</summary>
/// <param name="environmentId">The environment.</param>
/// <param name="of">The event.</param>
/// <param name="hasId">Whether its sender gave it an id.</param>
/// <param name="happenedAt">When it happened by our clock.</param>
/// <param name="batch">The batch with which it came.</param>
internal sealed class ClickHouseEvent(long environmentId, in ReceivedEvent of, bool hasId, DateTime happenedAt, long batch) : IShardRow
{
    [ClickHouseColumn(Name = "environment_id", Type = "Int64")]
    public long EnvironmentId { get; } = environmentId;

    [ClickHouseColumn(Name = "event", Type = "LowCardinality(String)")]
    public string Event { get; } = of.Event;

    [ClickHouseColumn(Name = "identity", Type = "UUID")]
    public Guid Identity { get; } = of.Identifier is { Length: > 0 } identifier ? Domain.Identity.Key(identifier) : Guid.Empty;

    [ClickHouseColumn(Name = "key", Type = "Int64")]
    public long Key { get; } = of.Key;

    [ClickHouseColumn(Name = "content_at", Type = "Int64")]
    public long ContentAt { get; } = hasId ? 0L : EventRows.Microseconds(of.At) / 1000;

    [ClickHouseColumn(Name = "at", Type = "DateTime64(3, 'UTC')")]
    public DateTime At { get; } = of.At;

    [ClickHouseColumn(Name = "skew", Type = "Int64")]
    public long Skew { get; } = (happenedAt - of.At).Ticks / TimeSpan.TicksPerMicrosecond;

    [ClickHouseColumn(Name = "version", Type = "UInt64")]
    public ulong Version { get; } = (ulong)(ClickHouseSchema.LastBatch - batch);

    [ClickHouseColumn(Name = "feature_name", Type = "LowCardinality(Nullable(String))")]
    public string? FeatureName { get; } = of.FeatureName;

    [ClickHouseColumn(Name = "identifier", Type = "Nullable(String)")]
    public string? Identifier { get; } = of.Identifier;

    [ClickHouseColumn(Name = "value", Type = "Nullable(String)")]
    public string? Value { get; } = of.Value;

    [ClickHouseColumn(Name = "traits", Type = "Nullable(String)")]
    public string? Traits { get; } = of.Traits is { } traits ? JsonbText.Of(traits) : null;

    [ClickHouseColumn(Name = "metadata", Type = "Nullable(String)")]
    public string? Metadata { get; } = of.Metadata is { } metadata ? JsonbText.Of(metadata) : null;
}
