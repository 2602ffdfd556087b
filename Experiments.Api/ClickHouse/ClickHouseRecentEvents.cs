using System.IO.Hashing;
using System.Runtime.InteropServices;
using Experiments.Api.Aggregation;

namespace Experiments.Api.ClickHouse;

/// <summary>A sample of recent events, by the hash of their units.</summary>
internal sealed class ClickHouseRecentEvents(ClickHouseShards shards, RecentEvents which, long share, CancellationToken ct) : IRecentEvents
{
    private const string Within = $$"""
        environment_id = {environment:Int64} AND {{EventRows.HappenedAt}} BETWEEN {from:Int64} AND {until:Int64}
        """;

    private Dictionary<string, DateTime>? _first;

    public long Share => share;

    public static async Task<ClickHouseRecentEvents> Begin(ClickHouseShards shards, RecentEvents which, CancellationToken ct) =>
        new(shards, which, 1 + await shards.Sum($"SELECT toInt64(count()) FROM events WHERE {Within}", Of(which), ct) / which.Enough, ct);

    public async Task<(long Units, DateTime? First)> Active(DateTime latest)
    {
        var first = (await First()).Values.Where(at => at <= latest).ToList();
        return (first.Count, first.Count == 0 ? null : first.Min());
    }

    public Task Each(string[] names, Action<StoredEvent> take, CancellationToken cancellation) =>
        Read($"event IN {Literal.List(names)}", names, take);

    public async Task<IReadOnlyDictionary<string, DateTime>> FirstOf(string[] units)
    {
        var first = await First();
        return units.Where(first.ContainsKey).ToDictionary(unit => unit, unit => first[unit]);
    }

    private async Task<Dictionary<string, DateTime>> First()
    {
        if (_first is null)
        {
            var first = new Dictionary<string, DateTime>();
            await Read("true", [], stored => Add(first, stored));
            _first = first;
        }

        return _first;
    }

    private void Add(Dictionary<string, DateTime> first, StoredEvent stored)
    {
        if (stored.Unit(which.UnitKey) is { } unit)
        {
            ref var at = ref CollectionsMarshal.GetValueRefOrAddDefault(first, unit, out var isKnown);
            at = isKnown && at <= stored.At ? at : stored.At;
        }
    }

    private Task Read(string what, string[] names, Action<StoredEvent> take)
    {
        var rows = new EventRows(new([], names, which.UnitKey is { } key ? [key] : []), []);
        return shards.Read(
            $"SELECT {rows.Columns} FROM events FINAL WHERE {Within} AND {what}",
            Of(which),
            row =>
            {
                var stored = rows.Of(row);
                if (share == 1 || IsInSample(stored.Unit(which.UnitKey)))
                {
                    take(stored);
                }
            },
            ct
        );
    }

    private bool IsInSample(string? unit) =>
        unit is not null && XxHash3.HashToUInt64(MemoryMarshal.AsBytes(unit.AsSpan())) % (ulong)share == 0;

    private static Dictionary<string, object> Of(RecentEvents which) =>
        new()
        {
            ["environment"] = which.EnvironmentId,
            ["from"] = EventRows.Microseconds(which.From),
            ["until"] = EventRows.Microseconds(which.Until),
        };
}
