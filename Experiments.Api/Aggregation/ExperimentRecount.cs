using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Counts all units of an experiment from their events, as many at a time as fit into memory.</summary>
/// <param name="connection">The connection with the aggregation lock.</param>
/// <param name="reading">The events.</param>
/// <param name="experiment">The experiment.</param>
/// <param name="links">Its metrics.</param>
/// <param name="inTime">Whether what arrived in a batch was early enough to count.</param>
internal sealed class ExperimentRecount(
    NpgsqlConnection connection,
    IEventReading reading,
    ExperimentDefinition experiment,
    IReadOnlyList<MetricLink> links,
    Func<ExperimentDefinition, long, bool> inTime
)
{
    /// <summary>Writes exposures and values. What follows from them is written by whoever finishes the writer.</summary>
    /// <param name="from">The first instant of events.</param>
    /// <param name="until">The last one.</param>
    /// <param name="aliases">The identities that are aliases.</param>
    /// <param name="lastBatch">The last batch that may say of an identity that it is an alias, where that matters.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<RebuildWriter> Write(
        DateTime from,
        DateTime until,
        IReadOnlyList<AliasGraph.Entry> aliases,
        long? lastBatch,
        CancellationToken ct
    )
    {
        var names = MetricLink.EventsOf([experiment], links);
        var needs = StoredEvent.Needs.Of([experiment], links, lastBatch);
        var writer = new RebuildWriter(connection, experiment, links);
        var slices = RebuildWriter.SlicesFor(await reading.Size(from, ct));
        for (var slice = 0; slice < slices; slice++)
        {
            var collector = new UnitCollector(experiment, links, inTime);
            await using (Heartbeat.Of(connection))
            {
                await reading.Each(
                    new(names, from, until, experiment.UnitKey, slice, slices),
                    needs,
                    aliases,
                    stored => collector.Add(stored, writer.Counts),
                    ct
                );
            }

            foreach (var alias in aliases)
            {
                collector.AddAlias(alias.KnownAs, alias.Identifier);
            }

            await writer.Write(collector, slice, slices, ct);
        }

        return writer;
    }
}
