using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Adds the events of some batches, which are in PostgreSQL, to what is stored of their identities.</summary>
internal sealed class EventAggregator(BatchCount count)
{
    private static readonly string Counted = $"""
        SELECT {StoredEvent.Columns}
        FROM events
        WHERE batch BETWEEN $5 AND $6 AND batch + 0 = ANY ($7) AND at BETWEEN $8 AND $9 AND event = ANY ($10)
            AND ($11::int IS NULL OR ($11 >> {StoredEvent.Slice("NULLIF(identifier, '')", $"{Slot.Count}")}) & 1 = 1)
        """;

    public async Task Run()
    {
        var (batches, experiments) = (count.Batches, count.Experiments);
        // An identity is in one slot, whereas a company may have identities in all of them.
        Part[] parts = batches.IsWhole
            ? [new(count, experiments, _ => true)]
            :
            [
                new(
                    count,
                    [.. experiments.Where(experiment => experiment.UnitKey is null)],
                    stored => batches.Has(stored.Batch, Slot.Of(stored))
                ),
                new(
                    count,
                    [.. experiments.Where(experiment => experiment.UnitKey is not null)],
                    stored => batches.Has(stored.Batch, Slot.First)
                ),
            ];
        foreach (var part in parts)
        {
            await part.Begin();
        }

        if (batches.AnySlots != 0)
        {
            await Read(stored => Array.ForEach(parts, part => part.Take(stored)));
        }

        foreach (var part in parts)
        {
            await part.Finish();
        }
    }

    private Task Read(Action<StoredEvent> take)
    {
        var batches = count.Batches;
        // All events, if the slot of some is not that of their identities.
        var needsAll =
            batches.IsWhole
            || ((batches.AnySlots & 1 << Slot.First) != 0 && count.Experiments.Any(experiment => experiment.UnitKey is not null));
        return StoredEvent.Each(
            count.Connection,
            Counted,
            StoredEvent.Needs.Of(count.Experiments, count.Links, count.HasAliases ? long.MaxValue : null),
            take,
            CancellationToken.None,
            Value(batches.First),
            Value(batches.Newest),
            Value(batches.Ids),
            Value(batches.From),
            Value(batches.Until),
            Value(count.Names),
            Value<int?>(needsAll ? null : batches.AnySlots)
        );
    }

    private static NpgsqlParameter<T> Value<T>(T value) => new() { TypedValue = value };

    // Some experiments and the events that are counted for them. An event is kept only as far as it matters, since there may be many.
    private sealed class Part(BatchCount count, IReadOnlyList<ExperimentDefinition> experiments, Func<StoredEvent, bool> isCounted)
    {
        private readonly ExposureAggregator _exposures = new(
            count.Connection,
            experiments,
            count.HasAliases ? new IdentityAliases(count.Connection) : null,
            count.Counts
        );

        private readonly MetricAggregator _metrics = new(count.Connection, count.LinksOf(experiments), count.Sums);

        public async Task Begin()
        {
            var joins = Joins();
            await _exposures.Move(joins);
            await _metrics.Move(joins);
        }

        public void Take(StoredEvent stored)
        {
            if (isCounted(stored))
            {
                _exposures.Take(stored, count.InTime);
                _metrics.Take(stored, count.InTime);
            }
        }

        public async Task Finish()
        {
            var (changed, known) = await _exposures.Aggregate(count.InTime);
            foreach (var key in changed)
            {
                _metrics.Recalculate(key);
            }

            await _metrics.Aggregate(known);
        }

        private List<ExposureAggregator.Join> Joins()
        {
            var byEnvironment = experiments
                .Where(experiment => experiment.UnitKey is null)
                .ToLookup(experiment => experiment.EnvironmentId);
            return
            [
                .. from alias in count.Joined
                from experiment in byEnvironment[alias.Environment]
                where count.InTime(experiment, alias.Batch)
                select ExposureAggregator.Join.Of(experiment, alias),
            ];
        }
    }
}
