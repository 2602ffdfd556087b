using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Counts the identities that some batches concern anew, from all their events, and corrects what is stored of them by the difference.
/// </summary>
internal sealed class UnitRecount(ClickHouseServer server, BatchCount count)
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

    private static readonly string Touched = """
        SELECT environment_id, identity FROM arrivals
        WHERE environment_id IN {environments:Array(Int64)} AND batch IN {batches:Array(Int64)} AND event IN {names:Array(String)}
        """;

    // Experiments that were final when these events came are left as they are: their older events may be gone.
    private readonly List<ExperimentDefinition> _experiments =
    [
        .. count.Experiments.Where(experiment => count.InTime(experiment, count.Batches.First)),
    ];

    private readonly ILookup<long, MetricLink> _links = count.Links.ToLookup(link => link.Experiment.Id);
    private readonly ExposureCountsDelta _counts = new();
    private readonly MetricSumsDelta _sums = new();

    public async Task Run(CancellationToken ct)
    {
        if (_experiments.Count == 0)
        {
            return;
        }

        var names = NamesOf(_experiments);
        var touched = new HashSet<(long Environment, Guid Identity)>();
        await server.Read($"SELECT DISTINCT * FROM ({Touched})", Of(names), row => touched.Add((row.GetInt64(0), row.GetGuid(1))), ct);
        if (touched.Count == 0 && count.Joined.Count == 0)
        {
            return;
        }

        await CountIdentities([.. _experiments.Where(experiment => experiment.UnitKey is null)], touched, ct);
        var environments = touched.Select(one => one.Environment).ToHashSet();
        foreach (
            var experiment in _experiments.Where(experiment =>
                experiment.UnitKey is not null && environments.Contains(experiment.EnvironmentId)
            )
        )
        {
            await CountWhole(experiment, ct);
        }
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
        var extra = aliases
            .SelectMany(alias => new[] { alias.Identifier, alias.KnownAs }.Select(one => (alias.Environment, Identity.Key(one))))
            .ToHashSet();
        extra.ExceptWith(identities);
        identities.UnionWith(extra);
        var collectors = experiments.ToDictionary(
            experiment => experiment,
            experiment => new UnitCollector(experiment, [.. _links[experiment.Id]], count.InTime)
        );
        var withoutIdentifier = new ExposureCountsDelta();
        await Collect(collectors, aliases, extra, withoutIdentifier, ct);
        var byEnvironment = identities.ToLookup(one => one.Environment, one => one.Identity);
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

            await Correct(experiment, collector.Build(), byEnvironment[experiment.EnvironmentId]);
        }

        // All events without an identifier have been read where there is one, so what was counted of them before is in it.
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
        await withoutIdentifier.Post(count.Connection);
        await _counts.Post(count.Connection);
        await _sums.Post(count.Connection);
    }

    private async Task Collect(
        Dictionary<ExperimentDefinition, UnitCollector> collectors,
        IReadOnlyList<AliasGraph.Entry> aliases,
        HashSet<(long Environment, Guid Identity)> extra,
        ExposureCountsDelta withoutIdentifier,
        CancellationToken ct
    )
    {
        var byName = collectors
            .SelectMany(pair => NamesOf([pair.Key]).Select(name => (Key: (pair.Key.EnvironmentId, Name: name), pair.Value)))
            .ToLookup(pair => pair.Key, pair => pair.Value);
        var rows = new EventRows(StoredEvent.Needs.Of(collectors.Keys), aliases);
        var parameters = Of(NamesOf(collectors.Keys));
        parameters["extra"] = extra.Select(one => one.Identity).ToArray();
        await using (Heartbeat.Of(count.Connection))
        {
            await server.Read(
                $$"""
                SELECT {{rows.Columns}} FROM events FINAL
                WHERE environment_id IN {environments:Array(Int64)} AND event IN {names:Array(String)}
                  AND ((environment_id, identity) IN ({{Touched}}) OR identity IN {extra:Array(UUID)})
                """,
                parameters,
                row =>
                {
                    var stored = rows.Of(row);
                    foreach (var collector in byName[(stored.EnvironmentId, stored.Event)])
                    {
                        collector.Add(stored, withoutIdentifier);
                    }
                },
                ct
            );
        }
    }

    // Only identities are found without reading all events.
    private async Task CountWhole(ExperimentDefinition experiment, CancellationToken ct)
    {
        var names = NamesOf([experiment]);
        var links = _links[experiment.Id].ToList();
        var from = links.Select(link => link.From).Append(experiment.Timeline.Runs[0].From - Timeline.Slow).Min();
        var until = DateTime.UtcNow.AddDays(1);
        var reading = new ClickHouseEventReading(server, count.Connection, experiment.EnvironmentId);
        var slices = RebuildWriter.SlicesFor(await reading.Size(from));
        var writer = new RebuildWriter(count.Connection, experiment, links);
        for (var slice = 0; slice < slices; slice++)
        {
            var collector = new UnitCollector(experiment, links, count.InTime);
            await using (Heartbeat.Of(count.Connection))
            {
                await reading.Each(
                    new(names, from, until, experiment.UnitKey, slice, slices),
                    StoredEvent.Needs.Of([experiment]),
                    stored => collector.Add(stored, writer.Counts),
                    ct
                );
            }

            await writer.Write(collector, slice, slices, ct);
        }

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

    private async Task Correct(ExperimentDefinition experiment, RebuiltUnits units, IEnumerable<Guid> identities)
    {
        var keys = identities.Order().Select(identity => new ExposureAggregator.Key(experiment.Id, identity)).ToList();
        var (exposures, metrics) = (await ExposureAggregator.Read(count.Connection, keys), await UnitMetrics.Read(count.Connection, keys));
        var values = new UnitValues(experiment, _links[experiment.Id]);
        var (changed, written) = (new List<ExposureAggregator.Changed>(), new List<UnitMetrics>());
        var (unexposed, unmeasured) = (new List<Guid>(), new List<Guid>());
        foreach (var key in keys)
        {
            var index = units.IndexOf(key.Identity);
            var (exposure, unit) = index is { } known ? (units.Exposure(known), units.Metrics(known)) : (null, null);
            ExposureState? oldExposure = exposures.TryGetValue(key, out var state) ? state : null;
            var oldUnit = metrics.GetValueOrDefault(key);
            if (exposure?.State != oldExposure)
            {
                Replace(key, oldExposure, exposure);
            }

            if (unit is not null ? oldUnit is null || !units.AreSame(oldUnit, unit) : oldUnit is not null)
            {
                values.Post(_sums, oldUnit?.Values ?? UnitValues.None, unit?.Values ?? UnitValues.None);
                (unit is null ? () => unmeasured.Add(key.Identity) : (Action)(() => written.Add(unit)))();
            }
        }

        await ExposureAggregator.Write(count.Connection, changed);
        await UnitMetrics.Write(count.Connection, written);
        await Delete("exposures", unexposed);
        await Delete("unit_metrics", unmeasured);

        void Replace(ExposureAggregator.Key key, ExposureState? old, ExposureAggregator.Changed? now)
        {
            if (old is { } before)
            {
                _counts.Add(experiment, before, -1);
            }

            if (now is null)
            {
                unexposed.Add(key.Identity);
            }
            else
            {
                _counts.Add(experiment, now.State, 1);
                changed.Add(now);
            }
        }

        Task Delete(string table, List<Guid> which) =>
            which.Count == 0
                ? Task.CompletedTask
                : count.Connection.ExecuteAsync(
                    $"DELETE FROM {table} WHERE experiment_id = @Id AND identity = ANY (@which)",
                    new { experiment.Id, which }
                );
    }

    private string[] NamesOf(IEnumerable<ExperimentDefinition> experiments) =>
        [
            .. experiments
                .SelectMany(experiment => _links[experiment.Id].SelectMany(link => link.Events).Append(experiment.ExposureEvent))
                .Distinct(),
        ];

    private Dictionary<string, object> Of(string[] names) =>
        new()
        {
            ["environments"] = count.Batches.Environments,
            ["batches"] = count.Batches.Ids,
            ["names"] = names,
        };
}
