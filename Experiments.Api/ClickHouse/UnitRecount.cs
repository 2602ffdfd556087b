using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Counts the identities that some batches concern anew, from all their events, and corrects what is stored of them by the difference.
/// </summary>
internal sealed class UnitRecount(ClickHouseShards shards, BatchCount count)
{
    private const string Persons = """
        SELECT DISTINCT a.environment_id AS environment, a.identifier, k.identifier AS known_as, a.batch
        FROM unnest(@Environments, @Identities) AS o(environment_id, identity)
        JOIN identity_aliases t USING (environment_id, identity)
        JOIN identity_aliases a ON a.environment_id = t.environment_id AND a.known_as = t.known_as
        JOIN identity_aliases k ON k.environment_id = a.environment_id AND k.identity = a.known_as
        """;

    private const string ForgetNoIdentifier =
        $"DELETE FROM exposure_counts WHERE experiment_id = ANY (@ids) AND outcome = '{ExposureState.NoIdentifier}'";

    // Experiments that were final when these events came are left as they are: their older events may be gone.
    private readonly List<ExperimentDefinition> _experiments =
    [
        .. count.Experiments.Where(experiment => count.InTime(experiment, count.Batches.First)),
    ];

    private readonly ILookup<long, MetricLink> _links = count.Links.ToLookup(link => link.Experiment.Id);

    public async Task Run(CancellationToken ct)
    {
        if (_experiments.Count == 0)
        {
            return;
        }

        var (touched, names) = await Touched(ct);
        if (touched.Count == 0 && count.Joined.Count == 0)
        {
            return;
        }

        await CountIdentities([.. _experiments.Where(experiment => experiment.UnitKey is null)], touched, ct);
        foreach (var experiment in _experiments.Where(experiment => experiment.UnitKey is not null))
        {
            if (
                !count.Incomplete.Contains(experiment.Id)
                && NamesOf([experiment]).Any(name => names.Contains((experiment.EnvironmentId, name)))
            )
            {
                await CountWhole(experiment, ct);
            }
        }
    }

    // The identities and the events that the batches concern.
    private async Task<(HashSet<(long Environment, Guid Identity)>, HashSet<(long Environment, string Name)>)> Touched(CancellationToken ct)
    {
        var (identities, names) = (new HashSet<(long, Guid)>(), new HashSet<(long, string)>());
        var exposures = _experiments.Select(experiment => experiment.ExposureEvent).ToHashSet();
        await using var heartbeat = Heartbeat.Of(count.Connection);
        await shards.Read(
            $"""
            SELECT environment_id, event, groupUniqArray(identity) FROM arrivals
            WHERE {OfBatches(NamesOf(_experiments))}
            GROUP BY environment_id, event
            """,
            null,
            row =>
            {
                var (environment, name) = (row.GetInt64(0), row.GetString(1));
                names.Add((environment, name));
                foreach (var identity in (Guid[])row.GetValue(2))
                {
                    if (identity != Guid.Empty || exposures.Contains(name))
                    {
                        identities.Add((environment, identity));
                    }
                }
            },
            ct
        );
        return (identities, names);
    }

    private async Task CountIdentities(
        List<ExperimentDefinition> experiments,
        HashSet<(long Environment, Guid Identity)> identities,
        CancellationToken ct
    )
    {
        if (experiments.Count == 0)
        {
            return;
        }

        var aliases = await Aliases(identities);
        var others = aliases
            .SelectMany(alias => new[] { alias.Identifier, alias.KnownAs }.Select(one => (alias.Environment, Identity.Key(one))))
            .ToHashSet();
        others.ExceptWith(identities);
        identities.UnionWith(others);
        foreach (var (part, which) in await Parts(experiments, identities, others, aliases, ct))
        {
            var collectors = experiments.ToDictionary(
                experiment => experiment,
                experiment => new UnitCollector(experiment, [.. _links[experiment.Id]], count.InTime)
            );
            await Collect(collectors, which, aliases, ct);
            var byEnvironment = part.ToLookup(one => one.Environment, one => one.Identity);
            foreach (var (experiment, collector) in collectors)
            {
                foreach (
                    var alias in aliases.Where(alias =>
                        alias.IsAlias && alias.Environment == experiment.EnvironmentId && count.InTime(experiment, alias.Batch)
                    )
                )
                {
                    collector.AddAlias(alias.KnownAs, alias.Identifier);
                }

                await new UnitCorrection(count, experiment, [.. _links[experiment.Id]]).Correct(
                    collector.Build(),
                    byEnvironment[experiment.EnvironmentId]
                );
            }
        }

        // All exposures without an identifier have been read where there is a new one, so what was counted of them before is in it.
        await count.Connection.ExecuteAsync(
            ForgetNoIdentifier,
            new
            {
                ids = experiments
                    .Where(experiment => identities.Contains((experiment.EnvironmentId, Guid.Empty)))
                    .Select(experiment => experiment.Id)
                    .ToArray(),
            }
        );
    }

    // As many as fit into the memory with all their events, those of a person together.
    private async Task<IReadOnlyList<(HashSet<(long Environment, Guid Identity)> Part, string Which)>> Parts(
        List<ExperimentDefinition> experiments,
        HashSet<(long Environment, Guid Identity)> identities,
        HashSet<(long Environment, Guid Identity)> others,
        IReadOnlyList<AliasGraph.Entry> aliases,
        CancellationToken ct
    )
    {
        // Mostly all fit, and the query need not list them. Often even all events of the environments do, which are counted faster.
        var names = NamesOf(experiments);
        var all =
            $"({ClickHouseEventStore.Arrived($"{OfBatches(names)} AND {IsIdentified}", count.Batches, "identity")} OR {List(others)})";
        var slices = await SlicesFor(OfEnvironments(names));
        slices = slices == 1 ? 1 : await SlicesFor($"{OfEvents(names)} AND {all}");
        if (slices == 1)
        {
            return [(identities, all)];
        }

        var persons = aliases.ToDictionary(
            alias => (alias.Environment, Identity.Key(alias.Identifier)),
            alias => Identity.Key(alias.KnownAs)
        );
        return
        [
            .. identities
                .GroupBy(one => RebuildWriter.SliceOf(persons.GetValueOrDefault(one, one.Identity), slices))
                .Select(part => part.ToHashSet())
                .Select(part => (part, List(part))),
        ];

        async Task<int> SlicesFor(string which)
        {
            await using var heartbeat = Heartbeat.Of(count.Connection);
            var events = await shards.Sum($"SELECT toInt64(count()) FROM events WHERE {which}", null, ct);
            return RebuildWriter.SlicesFor(events * Math.Max(1, experiments.Count / 2));
        }
    }

    private async Task Collect(
        Dictionary<ExperimentDefinition, UnitCollector> collectors,
        string which,
        IReadOnlyList<AliasGraph.Entry> aliases,
        CancellationToken ct
    )
    {
        var byName = collectors
            .SelectMany(pair => NamesOf([pair.Key]).Select(name => (Key: (pair.Key.EnvironmentId, Name: name), pair.Value)))
            .ToLookup(pair => pair.Key, pair => pair.Value);
        var rows = new EventRows(
            StoredEvent.Needs.Of(collectors.Keys, collectors.Keys.SelectMany(experiment => _links[experiment.Id])),
            aliases
        );
        await using var heartbeat = Heartbeat.Of(count.Connection);
        await shards.Read(
            // Before anything else is read: these columns are those of the key, which all copies of an event have alike.
            $"SELECT {rows.Columns} FROM events FINAL PREWHERE {OfEvents(NamesOf(collectors.Keys))} AND {which}",
            null,
            row =>
            {
                var stored = rows.Of(row);
                foreach (var collector in byName[(stored.EnvironmentId, stored.Event)])
                {
                    collector.Add(stored, count.Counts);
                }
            },
            ct
        );
    }

    // Only identities are found without reading all events.
    private async Task CountWhole(ExperimentDefinition experiment, CancellationToken ct)
    {
        var links = _links[experiment.Id].ToList();
        var from = links.Select(link => link.From).Append(experiment.Timeline.Runs[0].From - Timeline.Slow).Min();
        var reading = new ClickHouseEventReading(shards, count.Connection, experiment.EnvironmentId);
        var writer = await new ExperimentRecount(count.Connection, reading, experiment, links, count.InTime).Write(
            from,
            DateTime.UtcNow.AddDays(1),
            [],
            null,
            ct
        );
        await writer.Finish(invalidates: false);
    }

    // All identities of the persons that these identities are, or have turned out to be.
    private async Task<IReadOnlyList<AliasGraph.Entry>> Aliases(IEnumerable<(long Environment, Guid Identity)> identities)
    {
        if (!count.HasAliases)
        {
            return [];
        }

        var asked = identities.Concat(count.Joined.Select(one => (one.Environment, Identity.Key(one.Identifier)))).Distinct().ToList();
        return (
            await count.Connection.QueryAsync<AliasGraph.Entry>(
                Persons,
                new
                {
                    Environments = new Column<long>(asked.Select(one => one.Environment)),
                    Identities = new Column<Guid>(asked.Select(one => one.Item2)),
                }
            )
        ).AsList();
    }

    private string[] NamesOf(IReadOnlyCollection<ExperimentDefinition> experiments) =>
        MetricLink.EventsOf(experiments, experiments.SelectMany(experiment => _links[experiment.Id]));

    private string OfEnvironments(string[] names) =>
        $"environment_id IN {Literal.List(count.Batches.Environments)} AND event IN {Literal.List(names)}";

    private string OfBatches(string[] names) => $"{OfEnvironments(names)} AND batch IN {Literal.List(count.Batches.Ids)}";

    private string OfEvents(string[] names) => $"{OfEnvironments(names)} AND {IsIdentified}";

    // Without an identifier, only exposures count where identities do.
    private string IsIdentified =>
        $"(identity <> '{Guid.Empty}' OR event IN {Literal.List(_experiments.Select(one => one.ExposureEvent).Distinct())})";

    private static string List(HashSet<(long Environment, Guid Identity)> identities) =>
        "("
        + string.Join(
            " OR ",
            identities
                .GroupBy(one => one.Environment)
                .Select(group => $"(environment_id = {group.Key} AND identity IN {Literal.List(group.Select(one => one.Identity))})")
                .DefaultIfEmpty("false")
        )
        + ")";
}
