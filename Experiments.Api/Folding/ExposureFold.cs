using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Folding;

/// <summary>Takes exposures into the row of each identity, and what that changes into the counts.</summary>
internal sealed class ExposureFold(NpgsqlConnection connection, IReadOnlyList<FoldedExperiment> experiments)
{
    private const string Known =
        """
        SELECT x.experiment_id, x.identity, x.own, x.seen, x.seen_at, x.enrolled_at, x.paused_at
        FROM unnest(@Experiments, @Identities) AS k(experiment_id, identity)
        JOIN exposures x USING (experiment_id, identity)
        """;

    private const string Write =
        """
        INSERT INTO exposures (experiment_id, identity, identifier, own, seen, seen_at, enrolled_at, paused_at)
        SELECT * FROM unnest(@Experiments, @Identities, @Identifiers, @Own, @Seen, @SeenAt, @EnrolledAt, @PausedAt)
        ON CONFLICT (experiment_id, identity) DO UPDATE SET
            seen = excluded.seen, seen_at = excluded.seen_at, enrolled_at = excluded.enrolled_at, paused_at = excluded.paused_at
        """;

    private const string Count =
        """
        INSERT INTO exposure_counts AS c (experiment_id, hour, outcome, count)
        SELECT * FROM unnest(@Experiments, @Hours, @Outcomes, @Counts)
        ON CONFLICT (experiment_id, hour, outcome) DO UPDATE SET count = c.count + excluded.count
        """;

    private readonly Dictionary<long, FoldedExperiment> _byId = experiments.ToDictionary(experiment => experiment.Id);
    private readonly ILookup<(long, string), FoldedExperiment> _byFeature =
        experiments.ToLookup(experiment => (experiment.EnvironmentId, experiment.FeatureName.ToLowerInvariant()));

    private readonly Dictionary<Key, (string Identifier, Exposures Exposures)> _found = [];
    private readonly Dictionary<(long Experiment, DateTime Hour, string Outcome), long> _counts = [];

    /// <summary>Takes them in, and tells whose row has changed.</summary>
    public async Task<IReadOnlyList<Key>> Fold(IEnumerable<StoredEvent> shown, Func<FoldedExperiment, long, bool> inTime)
    {
        foreach (var exposure in shown)
        {
            Take(exposure, inTime);
        }

        var keys = _found.Keys.Order().ToList();
        var before = await Read(connection, keys);

        var changed = new List<(Key Key, string Identifier, Exposures Exposures)>();
        foreach (var key in keys)
        {
            var (identifier, now) = _found[key];
            if (before.TryGetValue(key, out var old))
            {
                now = old.Merge(now);
                if (now == old)
                {
                    continue;
                }

                Add(_byId[key.ExperimentId], old, -1);
            }

            Add(_byId[key.ExperimentId], now, 1);
            changed.Add((key, identifier, now));
        }

        await Store(changed);
        return [.. changed.Select(row => row.Key)];
    }

    /// <summary>What is known of these identities, of those of whom anything is.</summary>
    public static async Task<Dictionary<Key, Exposures>> Read(NpgsqlConnection connection, IReadOnlyCollection<Key> keys) => keys.Count == 0
        ? []
        : (await connection.QueryAsync<Row>(Known, new { Experiments = new Column<long>(keys.Select(key => key.ExperimentId)), Identities = new Column<Guid>(keys.Select(key => key.Identity)) }))
            .ToDictionary(row => new Key(row.ExperimentId, row.Identity), row => row.Exposures);

    private void Take(StoredEvent exposure, Func<FoldedExperiment, long, bool> inTime)
    {
        foreach (var experiment in Concerned(exposure).Where(experiment => inTime(experiment, exposure.Batch)))
        {
            if (string.IsNullOrEmpty(exposure.Identifier))
            {
                if (experiment.Timeline.RanAt(exposure.At))
                {
                    Add(experiment, exposure.At, Exposures.NoIdentifier, 1);
                }
            }
            else if (experiment.Judge(exposure.Identifier, exposure.Value, exposure.At) is { } judged)
            {
                var key = new Key(experiment.Id, Identity.Key(exposure.Identifier));
                _found[key] = (exposure.Identifier, _found.TryGetValue(key, out var known) ? known.Exposures.Merge(judged) : judged);
            }
        }
    }

    // The experiment that the exposure names, or else those on the feature; of which at most one was going on at any time.
    private IEnumerable<FoldedExperiment> Concerned(StoredEvent exposure) => exposure.ExperimentId is { } id
        ? _byId.TryGetValue(id, out var named) && named.EnvironmentId == exposure.EnvironmentId ? [named] : []
        : _byFeature[(exposure.EnvironmentId, exposure.FeatureName!.ToLowerInvariant())];

    private void Add(FoldedExperiment experiment, Exposures exposures, int sign) => Add(experiment, exposures.At, experiment.Outcome(exposures), sign);

    private void Add(FoldedExperiment experiment, DateTime at, string outcome, int sign)
    {
        var place = (experiment.Id, at.AddTicks(-(at.Ticks % TimeSpan.TicksPerHour)), outcome);
        _counts[place] = _counts.GetValueOrDefault(place) + sign;
    }

    private async Task Store(List<(Key Key, string Identifier, Exposures Exposures)> changed)
    {
        if (changed.Count > 0)
        {
            await connection.ExecuteAsync(Write, new
            {
                Experiments = changed.Select(row => row.Key.ExperimentId).ToArray(),
                Identities = changed.Select(row => row.Key.Identity).ToArray(),
                Identifiers = changed.Select(row => row.Identifier).ToArray(),
                Own = changed.Select(row => (short)row.Exposures.Own).ToArray(),
                Seen = changed.Select(row => row.Exposures.Seen).ToArray(),
                SeenAt = new Column<DateTime?>(changed.Select(row => row.Exposures.SeenAt)),
                EnrolledAt = new Column<DateTime?>(changed.Select(row => row.Exposures.EnrolledAt)),
                PausedAt = new Column<DateTime?>(changed.Select(row => row.Exposures.PausedAt)),
            });
        }

        var counts = _counts.Where(count => count.Value != 0).OrderBy(count => count.Key).ToList();
        if (counts.Count > 0)
        {
            await connection.ExecuteAsync(Count, new
            {
                Experiments = counts.Select(count => count.Key.Experiment).ToArray(),
                Hours = new Column<DateTime>(counts.Select(count => count.Key.Hour)),
                Outcomes = counts.Select(count => count.Key.Outcome).ToArray(),
                Counts = counts.Select(count => count.Value).ToArray(),
            });
        }
    }

    /// <summary>An identity in an experiment.</summary>
    internal readonly record struct Key(long ExperimentId, Guid Identity) : IComparable<Key>
    {
        public int CompareTo(Key other) => ExperimentId != other.ExperimentId ? ExperimentId.CompareTo(other.ExperimentId) : Identity.CompareTo(other.Identity);
    }

    private sealed record Row
    {
        public long ExperimentId { get; init; }

        public Guid Identity { get; init; }

        public short Own { get; init; }

        public int Seen { get; init; }

        public DateTime? SeenAt { get; init; }

        public DateTime? EnrolledAt { get; init; }

        public DateTime? PausedAt { get; init; }

        public Exposures Exposures => new(Own, Seen, SeenAt, EnrolledAt, PausedAt);
    }
}
