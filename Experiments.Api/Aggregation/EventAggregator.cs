using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Adds the events of some batches, which are in PostgreSQL, to what is stored of their identities.</summary>
internal sealed class EventAggregator(BatchCount count)
{
    private const string Counted = $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE batch BETWEEN $5 AND $6 AND batch + 0 = ANY ($7) AND at BETWEEN $8 AND $9 AND event = ANY ($10)
            AND ($11::int IS NULL
                OR ($11 >> COALESCE(get_byte(sha256(convert_to({StoredEvent.Identified}, 'UTF8')), 0) * 16 / 256, 0)) & 1 = 1)
        """;

    public async Task Run()
    {
        var (batches, experiments) = (count.Batches, count.Experiments);
        var events = await Read();
        if (batches.IsWhole)
        {
            await Count(experiments, events);
            return;
        }

        // An identity is in one slot, whereas a company may have identities in all of them.
        await Count(
            [.. experiments.Where(experiment => experiment.UnitKey is null)],
            [.. events.Where(stored => batches.Has(stored.Batch, Slot.Of(stored)))]
        );
        await Count(
            [.. experiments.Where(experiment => experiment.UnitKey is not null)],
            [.. events.Where(stored => batches.Has(stored.Batch, Slot.First))]
        );
    }

    private async Task<IReadOnlyList<StoredEvent>> Read()
    {
        var batches = count.Batches;
        // All events, if some slot of them is not that of their identities.
        var needsAll =
            batches.IsWhole
            || ((batches.AnySlots & 1 << Slot.First) != 0 && count.Experiments.Any(experiment => experiment.UnitKey is not null));
        return batches.AnySlots == 0
            ? []
            : await StoredEvent.Read(
                count.Connection,
                Counted,
                StoredEvent.Needs.Of(count.Experiments, count.Links, count.HasAliases ? long.MaxValue : null),
                Value(batches.First),
                Value(batches.Newest),
                Value(batches.Ids),
                Value(batches.From),
                Value(batches.Until),
                Value(count.Names),
                Value<int?>(needsAll ? null : batches.AnySlots)
            );
    }

    private async Task Count(IReadOnlyList<ExperimentDefinition> experiments, IReadOnlyList<StoredEvent> events)
    {
        var connection = count.Connection;
        var joins = JoinsOf(experiments);
        if (events.Count == 0 && joins.Count == 0)
        {
            return;
        }

        var exposures = new ExposureAggregator(
            connection,
            experiments,
            count.HasAliases ? new IdentityAliases(connection) : null,
            count.Counts
        );
        await exposures.Move(joins);
        var changed = await exposures.Aggregate(events, count.InTime);
        var links = count.LinksOf(experiments);
        if (links.Count == 0)
        {
            return;
        }

        var aggregator = new MetricAggregator(connection, links, count.Sums);
        await aggregator.Move(joins);
        foreach (var key in changed.Keys)
        {
            aggregator.Recalculate(key);
        }

        await using (Heartbeat.Of(connection))
        {
            foreach (var stored in events)
            {
                aggregator.Take(stored, count.InTime);
            }
        }

        await aggregator.Aggregate(changed);
    }

    private List<ExposureAggregator.Join> JoinsOf(IReadOnlyList<ExperimentDefinition> experiments)
    {
        var byEnvironment = experiments.Where(experiment => experiment.UnitKey is null).ToLookup(experiment => experiment.EnvironmentId);
        return
        [
            .. from alias in count.Joined
            let keys = (Alias: Domain.Identity.Key(alias.Identifier), Known: Domain.Identity.Key(alias.KnownAs))
            from experiment in byEnvironment[alias.Environment]
            where count.InTime(experiment, alias.Batch)
            select new ExposureAggregator.Join(new(experiment.Id, keys.Alias), new(experiment.Id, keys.Known), alias.KnownAs),
        ];
    }

    private static NpgsqlParameter<T> Value<T>(T value) => new() { TypedValue = value };
}
