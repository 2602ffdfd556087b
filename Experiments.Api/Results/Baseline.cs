using System.Text.Json;
using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Folding;
using Experiments.Api.Metrics;
using Experiments.Api.Platform.Data;
using Experiments.Api.Statistics;
using Npgsql;

namespace Experiments.Api.Results;

/// <summary>
/// What a metric is without the experiment, from the events of an environment in the last days: as if every identity that was active
/// had been shown something at their beginning. Where there are many, a share of the identities stands for all.
/// </summary>
internal sealed class Baseline(NpgsqlDataSource source)
{
    private const int Days = 14;

    // So many events are enough.
    private const int Enough = 500_000;

    private const string Active =
        """
        SELECT now() - @Days * interval '1 day' AS from, now() AS until,
               1 + (SELECT COALESCE(sum(count), 0)::bigint FROM event_names WHERE environment_id = @environmentId) / @Enough AS share
        """;

    private const string Count =
        """
        SELECT count(DISTINCT identifier) FROM events
        WHERE environment_id = @environmentId AND at BETWEEN @from AND @until AND identifier <> '' AND (@share = 1 OR abs(hashtext(identifier)) % @share = 0)
        """;

    private const string Events =
        $"""
        SELECT {StoredEvent.Columns} FROM events
        WHERE environment_id = $1 AND at BETWEEN $2 AND $3 AND event = ANY ($4) AND identifier <> '' AND ($5 = 1 OR abs(hashtext(identifier)) % $5 = 0)
        """;

    /// <summary>The sums over all who were active, and how many of them come in a day.</summary>
    public async Task<(ArmSums Sums, double PerDay)> Of(long environmentId, string aggregation, MetricDefinition definition, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        var (from, until, share) = await connection.QuerySingleAsync<(DateTime, DateTime, long)>(Active, new { environmentId, Days, Enough });
        var n = await connection.QuerySingleAsync<long>(Count, new { environmentId, from, until, share });
        var sources = definition.Sources;
        var taken = new Dictionary<string, List<MetricEvent>>();
        await StoredEvent.Each(
            connection,
            Events,
            raw => Take(raw, sources, taken),
            ct,
            new NpgsqlParameter<long> { TypedValue = environmentId },
            new NpgsqlParameter<DateTime> { TypedValue = from },
            new NpgsqlParameter<DateTime> { TypedValue = until },
            new NpgsqlParameter<string[]> { TypedValue = [.. sources.Select(one => one.Event!).Distinct()] },
            new NpgsqlParameter<long> { TypedValue = share });
        var formula = new MetricFormula(aggregation, definition);
        var timeline = new Timeline([(from, null)], [], 100, null);
        var sums = taken.Values.Aggregate(new ArmSums(n, 0, 0), (sum, events) =>
        {
            events.Sort();
            var value = formula.Value(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(events), from, timeline);
            return sum + new ArmSums(0, value.Y, value.Y * value.Y, value.D, value.D * value.D, value.Y * value.D);
        });
        return (sums, n * share / (double)Days);
    }

    private static void Take(StoredEvent raw, IReadOnlyList<MetricSource> sources, Dictionary<string, List<MetricEvent>> taken)
    {
        using var metadata = raw.Metadata is null ? null : StoredJson.Document(raw.Metadata);
        JsonElement? members = metadata?.RootElement;
        foreach (var (slot, one) in sources.Index())
        {
            if (one.Event == raw.Event && one.Passes(raw.Value, members))
            {
                (taken.TryGetValue(raw.Identifier!, out var events) ? events : taken[raw.Identifier!] = [])
                    .Add(new(raw.At, raw.Key, slot, one.NumberOf(raw.Value, members) ?? double.NaN));
            }
        }
    }
}
