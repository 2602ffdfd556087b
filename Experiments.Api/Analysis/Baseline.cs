using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Statistics;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// The baseline of a metric without the experiment, computed from the recent events of an environment as if every active identity had
/// been exposed at the start of its activity. If there are many identities, a sample is used.
/// </summary>
internal sealed class Baseline(NpgsqlDataSource source, IEventStore store)
{
    private const int Days = 14;

    // The number of events after which the sample is large enough.
    private const int Enough = 500_000;

    private const string Window = """
        SET LOCAL statement_timeout = '30s';
        SELECT now() - @Days * interval '1 day' AS from, now() AS until
        """;

    /// <summary>The sums over all active identities, and the number of new identities per day.</summary>
    public async Task<(SufficientStatistics Sums, double PerDay)> Of(
        long environmentId,
        string? unitKey,
        MetricAggregation aggregation,
        MetricDefinition definition,
        CancellationToken ct
    )
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var snapshot = await connection.BeginTransactionAsync(ct);
        var formula = new MetricFormula(aggregation, definition);
        var names = definition.Sources.Select(one => one.Event!).Distinct().ToArray();
        var (from, until) = await connection.QuerySingleAsync<(DateTime, DateTime)>(Window, new { Days });
        var events = await store.Recent(connection, new(environmentId, unitKey, from, until, Enough), ct);
        // Those whose window is still open are left out, as they are in an experiment.
        var latest = until - (definition.Window ?? TimeSpan.Zero);
        var (n, first) = await events.Active(latest);
        var taken = new Dictionary<string, List<MetricEvent>>();
        await events.Each(names, raw => Take(raw, unitKey, formula, taken), ct);
        // A window opens with the first known event of the identity.
        var seen = definition is { ConversionWindowHours: null, StartsAtExposure: false }
            ? new Dictionary<string, DateTime>()
            : await events.FirstOf([.. taken.Keys]);
        var timeline = new Timeline([(from, null)], [], 100, null);
        var values = taken
            .Where(identity => seen.GetValueOrDefault(identity.Key, from) <= latest)
            .Select(identity =>
            {
                identity.Value.Sort();
                return formula.Value(
                    System.Runtime.InteropServices.CollectionsMarshal.AsSpan(identity.Value),
                    seen.GetValueOrDefault(identity.Key, from),
                    timeline
                );
            })
            .ToList();
        var sums = Held(values, n, definition.Winsorize)
            .Aggregate(
                new SufficientStatistics(n, 0, 0),
                (sum, value) =>
                    sum
                    + new SufficientStatistics(
                        0,
                        value.Y,
                        value.Y * value.Y,
                        value.D,
                        value.D * value.D,
                        value.Y * value.D,
                        NonZero: value.Y != 0 ? 1 : 0,
                        DenominatorNonZero: value.D != 0 ? 1 : 0
                    )
            );
        return (sums, n * events.Share / Math.Max(1, (latest - (first ?? from)).TotalDays));
    }

    // Clamped as results do.
    private static IEnumerable<MetricValue> Held(List<MetricValue> values, long n, Winsorization? held)
    {
        if (held is null || n == 0)
        {
            return values;
        }

        var zeros = held.CountsZeros ? Enumerable.Repeat(default(MetricValue), (int)Math.Max(0, n - values.Count)) : [];
        var all = values.Where(value => held.CountsZeros || value.Y != 0).Concat(zeros).Select(value => value.Y).Order().ToArray();
        if (all.Length == 0)
        {
            return values;
        }

        double At(double share) => all[Math.Clamp((int)Math.Ceiling(share * all.Length), 1, all.Length) - 1];
        var (lowest, highest) = held.Cap is { } cap ? (double.NegativeInfinity, cap) : (At(held.Lower ?? 0), At(held.Upper ?? 1));
        return values
            .Concat(zeros)
            .Select(value => value.Y == 0 && !held.CountsZeros ? value : value with { Y = Math.Clamp(value.Y, lowest, highest) });
    }

    private static void Take(StoredEvent raw, string? unitKey, MetricFormula formula, Dictionary<string, List<MetricEvent>> taken)
    {
        if (raw.Unit(unitKey) is not { } unit)
        {
            return;
        }

        using var metadata = raw.Metadata is null ? null : StoredJson.Document(raw.Metadata);
        foreach (var e in formula.Take(raw.Event, raw.At, raw.Key, raw.Value, metadata?.RootElement))
        {
            (taken.TryGetValue(unit, out var events) ? events : taken[unit] = []).Add(e);
        }
    }
}
