using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Merges exposures into the row of each identity, and says what the counts change by.</summary>
/// <param name="connection">The connection of the aggregating transaction.</param>
/// <param name="experiments">The experiments.</param>
/// <param name="aliases">The aliases of identities; null where there are none.</param>
/// <param name="counts">Takes what the counts change by.</param>
internal sealed class ExposureAggregator(
    NpgsqlConnection connection,
    IReadOnlyList<ExperimentDefinition> experiments,
    IdentityAliases? aliases,
    ExposureCountsDelta counts
)
{
    private const string Known = """
        SELECT x.experiment_id, x.identity, x.assigned_variants, x.shown_variants, x.seen_at, x.first_shown, x.enrolled_at, x.paused_at,
            x.before_at, x.levels::text
        FROM unnest($1, $2) AS k(experiment_id, identity)
        JOIN exposures x USING (experiment_id, identity)
        """;

    private const string Delete = """
        DELETE FROM exposures x USING unnest($1, $2) AS k(experiment_id, identity)
        WHERE x.experiment_id = k.experiment_id AND x.identity = k.identity
        RETURNING x.experiment_id, x.identity, x.assigned_variants, x.shown_variants, x.seen_at, x.first_shown, x.enrolled_at, x.paused_at,
            x.before_at, x.levels::text
        """;

    private const string Upsert = """
        INSERT INTO exposures (experiment_id, identity, identifier, assigned_variants, shown_variants, seen_at, first_shown, enrolled_at,
            paused_at, before_at, levels, counts_in, draw)
        SELECT experiment_id, identity, identifier, assigned_variants, shown_variants, seen_at, first_shown, enrolled_at, paused_at,
            before_at, levels::jsonb, counts_in, draw
        FROM unnest(@Experiments, @Identities, @Identifiers, @AssignedVariants, @ShownVariants, @SeenAt, @First, @EnrolledAt,
            @PausedAt, @BeforeAt, @Levels, @CountsIn, @Draw)
            AS g(experiment_id, identity, identifier, assigned_variants, shown_variants, seen_at, first_shown, enrolled_at, paused_at,
                before_at, levels, counts_in, draw)
        ON CONFLICT (experiment_id, identity) DO UPDATE SET
            assigned_variants = excluded.assigned_variants, shown_variants = excluded.shown_variants, seen_at = excluded.seen_at,
                first_shown = excluded.first_shown,
            enrolled_at = excluded.enrolled_at, paused_at = excluded.paused_at, before_at = excluded.before_at,
            levels = excluded.levels, counts_in = excluded.counts_in, draw = excluded.draw
        """;

    private readonly Dictionary<long, ExperimentDefinition> _byId = experiments.ToDictionary(experiment => experiment.Id);
    private readonly ILookup<(long, string), ExperimentDefinition> _byFeature = experiments.ToLookup(experiment =>
        (experiment.EnvironmentId, experiment.FeatureName.ToUpperInvariant())
    );
    private readonly ILookup<(long, string), ExperimentDefinition> _byEvent = experiments.ToLookup(experiment =>
        (experiment.EnvironmentId, experiment.ExposureEvent)
    );

    private readonly Dictionary<Key, (string Identifier, ExposureState State)> _found = [];

    /// <summary>Moves what is stored of aliases to the identities that they are known as.</summary>
    public async Task Move(IReadOnlyCollection<Join> joins)
    {
        var stored = await Read(connection, Delete, [.. joins.Select(join => join.Alias)]);
        foreach (var (alias, known, identifier) in joins)
        {
            if (stored.TryGetValue(alias, out var state))
            {
                counts.Add(_byId[alias.ExperimentId], state, -1);
            }

            // The assignment of an alias matters to the exposures of the known identity, also where it has none of its own.
            Found(known, identifier, stored.GetValueOrDefault(alias));
        }
    }

    /// <summary>Takes an event for every experiment that it exposes an identity to.</summary>
    public void Take(StoredEvent raw, Func<ExperimentDefinition, long, bool> inTime)
    {
        foreach (var experiment in Candidates(raw))
        {
            if (!experiment.IsConcerned(raw) || !inTime(experiment, raw.Batch))
            {
                continue;
            }

            if (raw.CountedUnit(experiment, inTime) is not { } unit)
            {
                if (experiment.Timeline.RanAt(raw.At))
                {
                    counts.Add(experiment, raw.At, ExposureState.NoIdentifier, 1);
                }
            }
            else if (experiment.Judge(raw) is { } judged)
            {
                Found(new(experiment.Id, raw.KeyOf(unit)), unit, judged);
            }
        }
    }

    /// <summary>Merges what was taken. Returns which rows have changed, and the states of these and of others.</summary>
    public async Task<(IReadOnlyList<Key> Changed, IReadOnlyDictionary<Key, ExposureState> Known)> Aggregate(
        Func<ExperimentDefinition, long, bool> inTime
    )
    {
        await AddAssignedOfAliases(inTime);
        var (changed, known) = (new List<Key>(), new Dictionary<Key, ExposureState>(_found.Count));
        foreach (var keys in _found.Keys.Order().Chunk(UnitMetrics.AtOnce))
        {
            var rows = await Merge(keys, known);
            await Write(connection, rows);
            changed.AddRange(rows.Select(row => row.Key));
        }

        return (changed, known);
    }

    private async Task<IReadOnlyList<Changed>> Merge(Key[] keys, Dictionary<Key, ExposureState> known)
    {
        foreach (var (key, state) in await Read(connection, keys))
        {
            known.Add(key, state);
        }

        var changed = new List<Changed>();
        foreach (var key in keys)
        {
            var (identifier, now) = _found[key];
            if (known.TryGetValue(key, out var old))
            {
                now = old.Merge(now);
                if (now == old)
                {
                    continue;
                }

                counts.Add(_byId[key.ExperimentId], old, -1);
            }
            else if (!now.IsExposed)
            {
                continue;
            }

            counts.Add(_byId[key.ExperimentId], now, 1);
            changed.Add(Changed.Of(_byId[key.ExperimentId], key, identifier, now));
            known[key] = now;
        }

        return changed;
    }

    /// <summary>The stored states of these identities. Identities without a row are absent.</summary>
    public static Task<Dictionary<Key, ExposureState>> Read(NpgsqlConnection connection, IReadOnlyCollection<Key> keys) =>
        Read(connection, Known, keys);

    private static async Task<Dictionary<Key, ExposureState>> Read(NpgsqlConnection connection, string sql, IReadOnlyCollection<Key> keys)
    {
        var found = new Dictionary<Key, ExposureState>();
        if (keys.Count > 0)
        {
            await using var command = new NpgsqlCommand(sql, connection);
            command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. keys.Select(key => key.ExperimentId)] });
            command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. keys.Select(key => key.Identity)] });
            await using var row = await command.ExecuteReaderAsync();
            while (await row.ReadAsync())
            {
                found.Add(new(row.GetInt64(0), row.GetGuid(1)), Shown(row, 2));
            }
        }

        return found;
    }

    private void Found(Key key, string identifier, ExposureState state) =>
        _found[key] = (identifier, _found.TryGetValue(key, out var known) ? known.State.Merge(state) : state);

    private async Task AddAssignedOfAliases(Func<ExperimentDefinition, long, bool> inTime)
    {
        if (aliases is null)
        {
            return;
        }

        var of = (await aliases.Of(_found.Select(found => (_byId[found.Key.ExperimentId].EnvironmentId, found.Value.Identifier)))).ToLookup(
            alias => (alias.Environment, alias.KnownAs)
        );
        foreach (var (key, (identifier, state)) in _found.ToList())
        {
            var experiment = _byId[key.ExperimentId];
            if (experiment.UnitKey is null)
            {
                var assigned = of[(experiment.EnvironmentId, identifier)]
                    .Where(alias => inTime(experiment, alias.Batch))
                    .Aggregate(0, (all, alias) => all | experiment.Assigned(alias.Identifier) | experiment.Assigned(identifier));
                _found[key] = (identifier, state with { AssignedVariants = state.AssignedVariants | assigned });
            }
        }
    }

    // An environment may have had many experiments. An exposure concerns one of them.
    private IEnumerable<ExperimentDefinition> Candidates(StoredEvent raw) =>
        raw.Event != ReceivedEvent.Exposure ? _byEvent[(raw.EnvironmentId, raw.Event)]
        : raw.ExperimentId is { } id ? (_byId.TryGetValue(id, out var named) ? [named] : [])
        : raw.FeatureName is { } feature ? _byFeature[(raw.EnvironmentId, feature.ToUpperInvariant())]
        : [];

    /// <summary>
    /// From the columns assigned_variants, shown_variants, seen_at, first_shown, enrolled_at, paused_at, before_at and levels as text,
    /// which begin at this index.
    /// </summary>
    public static ExposureState Shown(NpgsqlDataReader row, int index)
    {
        return new(
            row.GetInt32(index),
            row.GetInt32(index + 1),
            Instant(index + 2),
            row.IsDBNull(index + 3) ? null : row.GetInt16(index + 3),
            Instant(index + 4),
            Instant(index + 5),
            Instant(index + 6),
            row.IsDBNull(index + 7) ? null : TraitLevels.Parse(row.GetString(index + 7))
        );

        DateTime? Instant(int at) => row.IsDBNull(at) ? null : row.GetDateTime(at);
    }

    /// <summary>From the column counts_in, at this index.</summary>
    public static int? CountsIn(NpgsqlDataReader row, int index) => row.IsDBNull(index) ? null : row.GetInt16(index);

    /// <summary>From the column draw, at this index.</summary>
    public static double? Draw(NpgsqlDataReader row, int index) => row.IsDBNull(index) ? null : row.GetDouble(index);

    /// <summary>Inserts or updates the rows of these identities.</summary>
    public static async Task Write(NpgsqlConnection connection, IReadOnlyCollection<Changed> rows)
    {
        if (rows.Count > 0)
        {
            await connection.ExecuteAsync(
                Upsert,
                new
                {
                    Experiments = new Column<long>(rows.Select(row => row.Key.ExperimentId)),
                    Identities = new Column<Guid>(rows.Select(row => row.Key.Identity)),
                    Identifiers = new Column<string>(rows.Select(row => row.Identifier)),
                    AssignedVariants = new Column<int>(rows.Select(row => row.State.AssignedVariants)),
                    ShownVariants = new Column<int>(rows.Select(row => row.State.ShownVariants)),
                    SeenAt = new Column<DateTime?>(rows.Select(row => row.State.SeenAt)),
                    First = new Column<short?>(rows.Select(row => (short?)row.State.First)),
                    EnrolledAt = new Column<DateTime?>(rows.Select(row => row.State.EnrolledAt)),
                    PausedAt = new Column<DateTime?>(rows.Select(row => row.State.PausedAt)),
                    BeforeAt = new Column<DateTime?>(rows.Select(row => row.State.BeforeAt)),
                    Levels = new Column<string?>(rows.Select(row => row.State.Levels?.ToString())),
                    CountsIn = new Column<short?>(rows.Select(row => (short?)row.CountsIn)),
                    Draw = new Column<double>(rows.Select(row => row.Draw)),
                }
            );
        }
    }

    /// <summary>The current state of an identity.</summary>
    /// <param name="Key">The identity and the experiment.</param>
    /// <param name="Identifier">The identifier that the application uses.</param>
    /// <param name="State">The merged exposures.</param>
    /// <param name="CountsIn">The index of the variant in which it counts, or null.</param>
    /// <param name="Draw">The number that a rollout is compared with to include the identity.</param>
    internal sealed record Changed(Key Key, string Identifier, ExposureState State, int? CountsIn, double Draw)
    {
        public static Changed Of(ExperimentDefinition experiment, Key key, string identifier, ExposureState exposures) =>
            new(key, identifier, exposures, experiment.Include(exposures).Arm, experiment.Draw(identifier));
    }

    /// <summary>An identity that counts as another one in an experiment.</summary>
    /// <param name="Alias">The identity.</param>
    /// <param name="Known">The one that it counts as.</param>
    /// <param name="Identifier">The identifier of that one.</param>
    internal sealed record Join(Key Alias, Key Known, string Identifier)
    {
        public static Join Of(ExperimentDefinition experiment, AliasGraph.Entry alias) =>
            new(
                new(experiment.Id, Domain.Identity.Key(alias.Identifier)),
                new(experiment.Id, Domain.Identity.Key(alias.KnownAs)),
                alias.KnownAs
            );
    }

    /// <summary>An identity in an experiment.</summary>
    internal readonly record struct Key(long ExperimentId, Guid Identity) : IComparable<Key>
    {
        public int CompareTo(Key other) =>
            ExperimentId != other.ExperimentId ? ExperimentId.CompareTo(other.ExperimentId) : Identity.CompareTo(other.Identity);
    }
}
