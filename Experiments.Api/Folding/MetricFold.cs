using System.Text.Json;
using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Metrics;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Folding;

/// <summary>Takes events into the values of the identities that they are of, and what that changes into the sums of the arms.</summary>
internal sealed class MetricFold(NpgsqlConnection connection, IReadOnlyList<MetricLink> links)
{
    private const string Keep =
        """
        INSERT INTO metric_events (link_id, identity, at, key, slot, value)
        SELECT * FROM unnest(@Links, @Identities, @At, @Keys, @Slots, @Values)
        ON CONFLICT DO NOTHING
        """;

    private const string Kept =
        """
        SELECT v.link_id, v.identity, v.at, v.key, v.slot, v.value
        FROM unnest(@Links, @Identities) AS k(link_id, identity)
        -- The first so many, whatever the order in which they came; who has more of them is no person.
        CROSS JOIN LATERAL (
            SELECT * FROM metric_events m WHERE m.link_id = k.link_id AND m.identity = k.identity ORDER BY m.at, m.key, m.slot LIMIT 10000
        ) v
        """;

    private const string Before =
        """
        SELECT v.link_id, v.identity, v.arm, v.y, v.d, v.x, v.steps
        FROM unnest(@Links, @Identities) AS k(link_id, identity)
        JOIN metric_values v USING (link_id, identity)
        """;

    private const string Write =
        """
        INSERT INTO metric_values (link_id, identity, arm, y, d, x, steps)
        SELECT * FROM unnest(@Links, @Identities, @Arms, @Y, @D, @X, @Steps)
        ON CONFLICT (link_id, identity) DO UPDATE SET arm = excluded.arm, y = excluded.y, d = excluded.d, x = excluded.x, steps = excluded.steps
        """;

    private const string Remove = "DELETE FROM metric_values v USING unnest(@Links, @Identities) AS k(link_id, identity) WHERE v.link_id = k.link_id AND v.identity = k.identity";

    private const string Sum =
        """
        WITH given AS (
            SELECT link_id, arm, sign, y::numeric, d::numeric, x::numeric, steps
            FROM unnest(@Links, @Arms, @Signs, @Y, @D, @X, @Steps) AS g(link_id, arm, sign, y, d, x, steps)
        ), stepped AS (
            INSERT INTO metric_steps AS s (link_id, arm, step, count)
            SELECT link_id, arm, steps, sum(sign) FROM given WHERE steps > 0 GROUP BY 1, 2, 3 HAVING sum(sign) <> 0
            ON CONFLICT (link_id, arm, step) DO UPDATE SET count = s.count + excluded.count
        )
        INSERT INTO metric_sums AS s (link_id, arm, y, yy, d, dd, yd, x, xx, yx)
        SELECT link_id, arm, sum(sign * y), sum(sign * y * y), sum(sign * d), sum(sign * d * d), sum(sign * y * d), sum(sign * x), sum(sign * x * x), sum(sign * y * x)
        FROM given
        GROUP BY 1, 2
        ON CONFLICT (link_id, arm) DO UPDATE SET
            y = s.y + excluded.y, yy = s.yy + excluded.yy, d = s.d + excluded.d, dd = s.dd + excluded.dd, yd = s.yd + excluded.yd,
            x = s.x + excluded.x, xx = s.xx + excluded.xx, yx = s.yx + excluded.yx
        """;

    private readonly Dictionary<long, MetricLink> _links = links.ToDictionary(link => link.Id);
    private readonly ILookup<(long, string), MetricLink> _byEvent = links
        .SelectMany(link => link.Events.Distinct().Select(name => (Name: name, Link: link)))
        .ToLookup(pair => (pair.Link.Experiment.EnvironmentId, pair.Name), pair => pair.Link);

    private readonly HashSet<(long Link, Guid Identity)> _touched = [];
    private readonly List<(long Link, Guid Identity, MetricEvent Event)> _events = [];

    /// <summary>Takes up an event for every metric that is about it.</summary>
    public void Take(StoredEvent raw, Func<FoldedExperiment, bool> inTime)
    {
        JsonDocument? metadata = null;
        foreach (var shared in _byEvent[(raw.EnvironmentId, raw.Event)].Where(link => raw.At >= link.From && inTime(link.Experiment)).GroupBy(link => link.Keeper))
        {
            metadata ??= raw.Metadata is null ? null : StoredJson.Document(raw.Metadata);
            var identity = Identity.Key(raw.Identifier!);
            foreach (var taken in shared.First().Take(raw.Event, raw.At, raw.Key, raw.Value, metadata?.RootElement))
            {
                _events.Add((shared.Key, identity, taken));
                foreach (var link in shared)
                {
                    _touched.Add((link.Id, identity));
                }
            }
        }

        metadata?.Dispose();
    }

    /// <summary>Has the values of an identity computed anew, because what it was shown has changed.</summary>
    public void Touch(long experimentId, Guid identity)
    {
        foreach (var link in _links.Values.Where(link => link.Experiment.Id == experimentId))
        {
            _touched.Add((link.Id, identity));
        }
    }

    /// <summary>Keeps the events that were taken up, and leaves it to somebody else to compute what follows from them.</summary>
    public async Task StoreOnly()
    {
        await Store();
        _touched.Clear();
    }

    private async Task Store()
    {
        if (_events.Count > 0)
        {
            var rows = _events.OrderBy(row => (row.Link, row.Identity)).ToList();
            await connection.ExecuteAsync(Keep, new
            {
                Links = Column(rows, row => row.Link),
                Identities = Column(rows, row => row.Identity),
                At = Column(rows, row => row.Event.At),
                Keys = Column(rows, row => row.Event.Key),
                Slots = Column(rows, row => (short)row.Event.Slot),
                Values = Column(rows, row => row.Event.Value),
            });
            _events.Clear();
        }
    }

    /// <summary>Keeps the events, and brings the values of everyone who was touched, and the sums, up to date.</summary>
    public async Task Fold()
    {
        await Store();
        if (_touched.Count == 0)
        {
            return;
        }

        var touched = _touched.Order().ToList();
        var exposed = await ExposureFold.Read(connection, [.. touched.Select(ExposedAs).Distinct()]);
        // Whoever was never shown anything has no value, and no need to have its events looked at.
        var known = touched.Where(pair => exposed.ContainsKey(ExposedAs(pair))).ToList();
        var keys = new { Links = Column(known, pair => pair.Link), Identities = Column(known, pair => pair.Identity) };
        var places = known.Select(pair => (_links[pair.Link].Keeper, pair.Identity)).Distinct().ToList();
        var kept = (await connection.QueryAsync<KeptRow>(Kept, new { Links = Column(places, place => place.Keeper), Identities = Column(places, place => place.Identity) })).ToLookup(row => (row.LinkId, row.Identity), row => new MetricEvent(row.At, row.Key, row.Slot, row.Value));
        var before = (await connection.QueryAsync<ValueRow>(Before, keys)).ToDictionary(row => (row.LinkId, row.Identity));
        var changes = known.Select(pair =>
        {
            var link = _links[pair.Link];
            var exposures = exposed[ExposedAs(pair)];
            var now = exposures.CountsFrom is { } from ? link.Value(kept[(link.Keeper, pair.Identity)], from) : default;
            return new Change(pair.Link, pair.Identity, (short)exposures.Own, before.GetValueOrDefault(pair), now);
        }).Where(change => change.IsOne).ToList();
        _touched.Clear();
        await Apply(changes);
    }

    private ExposureFold.Key ExposedAs((long Link, Guid Identity) touched) => new(_links[touched.Link].Experiment.Id, touched.Identity);

    private async Task Apply(List<Change> changes)
    {
        var (written, removed) = (changes.Where(change => !change.Now.IsNought).ToList(), changes.Where(change => change.Now.IsNought).ToList());
        if (written.Count > 0)
        {
            await connection.ExecuteAsync(Write, new
            {
                Links = Column(written, change => change.Link),
                Identities = Column(written, change => change.Identity),
                Arms = Column(written, change => change.Arm),
                Y = Column(written, change => change.Now.Y),
                D = Column(written, change => change.Now.D),
                X = Column(written, change => change.Now.X),
                Steps = Column(written, change => (short)change.Now.Steps),
            });
        }

        if (removed.Count > 0)
        {
            await connection.ExecuteAsync(Remove, new { Links = Column(removed, change => change.Link), Identities = Column(removed, change => change.Identity) });
        }

        // What was comes off and what is goes on, in the same numbers, so that nothing is left behind.
        var entries = changes.Where(change => change.Old is not null).Select(change => (change.Link, change.Old!.Arm, Sign: -1, change.Old.Value))
            .Concat(written.Select(change => (change.Link, change.Arm, Sign: 1, Value: change.Now)))
            .ToList();
        if (entries.Count > 0)
        {
            await connection.ExecuteAsync(Sum, new
            {
                Links = Column(entries, entry => entry.Link),
                Arms = Column(entries, entry => entry.Arm),
                Signs = Column(entries, entry => entry.Sign),
                Y = Column(entries, entry => entry.Value.Y),
                D = Column(entries, entry => entry.Value.D),
                X = Column(entries, entry => entry.Value.X),
                Steps = Column(entries, entry => (short)entry.Value.Steps),
            });
        }
    }

    private static Column<T> Column<TRow, T>(IReadOnlyCollection<TRow> rows, Func<TRow, T> of) => new(rows.Select(of));

    private sealed record Change(long Link, Guid Identity, short Arm, ValueRow? Old, MetricValue Now)
    {
        public bool IsOne => Old is null ? !Now.IsNought : Old.Value != Now || Old.Arm != Arm;
    }

    private sealed record KeptRow(long LinkId, Guid Identity, DateTime At, long Key, short Slot, double Value);

    private sealed record ValueRow(long LinkId, Guid Identity, short Arm, double Y, double D, double X, short Steps)
    {
        public MetricValue Value => new(Y, D, X, Steps);
    }
}
