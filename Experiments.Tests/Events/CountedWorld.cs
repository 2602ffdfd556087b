using System.Globalization;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Events;

/// <summary>An environment with experiments that have run for some hours, and what happened in it.</summary>
internal sealed class CountedWorld(TestService service, Given given, IReadOnlyList<JsonObject> events, long template)
{
    private const string Counted = """
        SELECT e.name || ' ' || c.hour || ' ' || c.outcome || ' ' || c.count
        FROM exposure_counts c JOIN experiments e ON e.id = c.experiment_id JOIN environments n ON n.id = e.environment_id
        WHERE n.key = @Key AND c.count <> 0 ORDER BY 1
        """;

    private const string Exposed = """
        SELECT e.name || ' ' || x.identifier || ' ' || concat_ws(',', x.assigned_variants, x.shown_variants, x.seen_at, x.first_shown,
            x.enrolled_at, x.paused_at, x.before_at, x.levels, x.counts_in, x.draw)
        FROM exposures x JOIN experiments e ON e.id = x.experiment_id JOIN environments n ON n.id = e.environment_id
        WHERE n.key = @Key ORDER BY 1
        """;

    private const string Named = """
        SELECT n.event || ' ' || n.count || ' ' || n.first_seen || ' ' || n.last_seen
        FROM event_names n JOIN environments e ON e.id = n.environment_id WHERE e.key = @Key ORDER BY 1
        """;

    private static readonly string AllSums = RandomWorld
        .Sums.Replace("SELECT l.name ||", "SELECT e.name || ' ' || l.name ||", StringComparison.Ordinal)
        .Replace(
            "WHERE l.experiment_id = @Id AND",
            "JOIN experiments e ON e.id = l.experiment_id JOIN environments n ON n.id = e.environment_id WHERE n.key = @Key AND",
            StringComparison.Ordinal
        )
        .Replace("ORDER BY l.id, s.arm", "ORDER BY 1", StringComparison.Ordinal);

    /// <summary>The seeds of the worlds that a long test compares: EXPERIMENTS_WORLDS of them, from EXPERIMENTS_FIRST_WORLD on.</summary>
    public static IEnumerable<int> Seeds(int worlds)
    {
        return Enumerable.Range(Setting("EXPERIMENTS_FIRST_WORLD", 1), Setting("EXPERIMENTS_WORLDS", worlds));

        static int Setting(string name, int otherwise) =>
            Environment.GetEnvironmentVariable(name) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
    }

    public static async Task<CountedWorld> Plant(TestService service, int seed, long now, int experiments = 40, bool leavesSome = false)
    {
        var random = new Random(seed);
        var given = await Given.AnEnvironment(service);
        var metrics = await RandomWorld.EveryKindOfMetric(given);
        var template = await given.AnExperimentWith([
            .. metrics.Select(metric => (object)new { metric = metric.Id, expected_direction = "increase" }),
        ]);
        await service.Execute(
            """
            INSERT INTO holdouts (environment_id, name, percentage, created_by, salt, unit_key)
            SELECT id, 'holdout' || unit, 15, 'test', 'holdout', unit FROM environments, unnest(ARRAY['', 'company']) unit
            WHERE key = @Key
            """,
            new { given.Key }
        );
        var events = new List<JsonObject>();
        for (var index = 0; index < experiments; index++)
        {
            var plan = RandomPlan.Of(random, seed, index, now);
            await service.Execute(
                Insert,
                new
                {
                    plan.Name,
                    plan.Salt,
                    plan.Status,
                    plan.Started,
                    plan.Ended,
                    plan.Runs,
                    plan.Rollouts,
                    plan.Rollout,
                    plan.Exposure,
                    plan.Breakdowns,
                    plan.UnitKey,
                    plan.HasHoldout,
                    given.Key,
                }
            );
            events.AddRange(plan.Events(random, now));
        }

        await service.Execute(Attach, new { Template = template.Id, leavesSome });

        // Some turn out to be others, who are known.
        events.AddRange(
            Enumerable
                .Range(0, 25)
                .Select(n => new JsonObject
                {
                    ["event"] = n % 3 == 0 ? "$create_alias" : "$identify",
                    ["identifier"] = $"user-{n % 10}",
                    ["metadata"] = new JsonObject { [n % 3 == 0 ? "alias" : "$anon_distinct_id"] = $"user-{30 + (n % 15)}" },
                    ["timestamp"] = now - random.NextInt64(1_000_000) - n,
                })
        );
        return new(service, given, events, template.Id);
    }

    /// <summary>Sends everything in batches of a random order, some of it more than once.</summary>
    /// <param name="random">Decides.</param>
    /// <param name="mixes">Whether what is said of identities comes in between, instead of at first, and batches are small.</param>
    public async Task Send(Random random, bool mixes = false)
    {
        // What is said of identities must be known in the same order; the rest in any.
        var said = events
            .Where(e => e["event"]!.GetValue<string>() is "$identify" or "$create_alias")
            .OrderBy(e => e["timestamp"]!.GetValue<long>())
            .ToList();
        // Nothing comes twice in one batch, where it would be two events.
        var batches = Batches([.. events.Except(said)]).Concat(Batches([.. events.Except(said).Where(_ => random.Next(5) == 0)])).ToArray();
        random.Shuffle(batches);
        var places = said.Select(_ => mixes ? batches.Length / 6 * random.Next(6) : 0).Order().ToList();
        foreach (var (index, batch) in batches.Index())
        {
            foreach (var together in said.Where((_, n) => places[n] == index).Chunk(mixes ? 1 : said.Count))
            {
                await given.Send([.. together.Select(e => e.DeepClone())]);
            }

            await given.Send([.. batch.Select(e => e.DeepClone())]);
        }

        IEnumerable<JsonObject[]> Batches(JsonObject[] sent)
        {
            random.Shuffle(sent);
            for (var index = 0; index < sent.Length; )
            {
                var size = Math.Min(sent.Length - index, 1 + random.Next(mixes ? 100 : 600));
                yield return sent[index..(index + size)];
                index += size;
            }
        }
    }

    /// <summary>Attaches the metrics that have been left out.</summary>
    public Task AttachTheRest() => service.Execute(Attach, new { Template = template, leavesSome = false });

    /// <summary>Compares everything that has been counted, each sum to the digit.</summary>
    public async Task ShouldEqual(CountedWorld other, string about)
    {
        foreach (var sql in new[] { Named, Exposed, Counted, AllSums })
        {
            var (expected, actual) = (await Rows(sql), await other.Rows(sql));
            expected.Count.ShouldBeGreaterThan(0);
            actual.Except(expected).Concat(expected.Except(actual)).Take(10).ShouldBeEmpty($"{about}: {sql}");
        }
    }

    /// <summary>The ids of its experiments.</summary>
    public Task<IReadOnlyList<long>> Experiments() =>
        service.QueryAll<long>(
            "SELECT x.id FROM experiments x JOIN environments e ON e.id = x.environment_id WHERE e.key = @Key AND x.started_at IS NOT NULL",
            new { given.Key }
        );

    public Task IsCounted() =>
        Given.Eventually(
            async () =>
                await service.Query<bool>(
                    """
                    SELECT NOT EXISTS (SELECT FROM event_batches) AND NOT EXISTS (SELECT FROM event_arrivals)
                        AND NOT EXISTS (SELECT FROM experiment_metrics WHERE NOT backfilled AND experiment_id IN (
                            SELECT id FROM experiments WHERE started_at IS NOT NULL))
                    """
                ) && await service.Query<bool>(RandomWorld.HasMatured),
            TimeSpan.FromMinutes(2)
        );

    private Task<IReadOnlyList<string>> Rows(string sql) => service.QueryAll<string>(sql, new { given.Key });

    private const string Insert = """
        INSERT INTO features (project_id, name, default_value, options)
        SELECT project_id, @Name, '"blue"', '[{"id": 1, "key": "green", "value": "green"}]' FROM environments WHERE key = @Key;
        INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by, status, started_at, ended_at, runs,
            salt, rollouts, rollout_percentage, exposure, breakdowns, unit_key, holdout_id)
        SELECT e.id, f.id, @Name, 'It sells more.', variants_of(f.initial_value, f.multivariate_options, NULL), 'test', @Status,
            @Started, @Ended, @Runs::tstzmultirange, @Salt, @Rollouts::jsonb, @Rollout, @Exposure::jsonb, @Breakdowns, @UnitKey,
            CASE WHEN @HasHoldout THEN (SELECT h.id FROM holdouts h WHERE h.environment_id = e.id AND h.unit_key = @UnitKey) END
        FROM environments e JOIN environment_features f ON f.environment_id = e.id WHERE e.key = @Key AND f.name = @Name;
        """;

    private const string Attach = """
        INSERT INTO experiment_metrics (environment_id, experiment_id, metric_id, role, expected_direction, name, aggregation,
            direction, margin, definition)
        SELECT l.environment_id, x.id, l.metric_id, l.role, l.expected_direction, l.name, l.aggregation, l.direction, l.margin,
            l.definition
        FROM experiment_metrics l JOIN experiments x ON x.environment_id = l.environment_id AND x.id <> l.experiment_id
        WHERE l.experiment_id = @Template AND NOT (@leavesSome AND hashtext(l.name || x.name) % 3 = 0)
            AND NOT EXISTS (SELECT FROM experiment_metrics h WHERE h.experiment_id = x.id AND h.metric_id = l.metric_id)
        ORDER BY x.id, l.id
        """;
}
