using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Results;

/// <summary>Anonymous identities that turn out to be known ones.</summary>
public class IdentityAliasTests(SharedService service) : IClassFixture<SharedService>
{
    public static TheoryData<int[]> Orders { get; } =
    [
        .. from a in Enumerable.Range(0, 4)
        from b in Enumerable.Range(0, 4).Except([a])
        from c in Enumerable.Range(0, 4).Except([a, b])
        from d in Enumerable.Range(0, 4).Except([a, b, c])
        select new[] { a, b, c, d },
    ];

    [Theory]
    [MemberData(nameof(Orders))]
    public async Task Whoever_was_exposed_before_signing_in_counts_once_with_what_it_did_afterwards(int[] order)
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: false);
        var events = new[]
        {
            world.Exposure(anonymous, world.Own(anonymous), 1),
            world.Event("$identify", known, 2, new() { ["$anon_distinct_id"] = anonymous }),
            // While an anonymous identity becomes a known one, it is still the former that is hashed.
            world.Exposure(known, world.Own(anonymous), 3),
            world.Event("purchase", known, 4),
        };

        foreach (var index in order)
        {
            await world.Given.Send(events[index]);
            await world.Counted();
        }

        (await world.Arms()).ShouldBe(new() { [world.Own(anonymous)] = (1, 1) });
        (await world.Rows()).ShouldBe([known]);
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Fact]
    public async Task All_in_one_request_is_the_same()
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: false);

        await world.Given.Send(
            world.Event("purchase", known, 4),
            world.Exposure(anonymous, world.Own(anonymous), 1),
            world.Event("$identify", known, 2, new() { ["$anon_distinct_id"] = anonymous })
        );
        await world.Counted();

        (await world.Arms()).ShouldBe(new() { [world.Own(anonymous)] = (1, 1) });
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Fact]
    public async Task Whoever_saw_another_variant_after_signing_in_is_excluded()
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: false);

        await world.Given.Send(
            world.Exposure(anonymous, world.Own(anonymous), 1),
            world.Exposure(known, world.Own(known), 5),
            world.Event("$identify", known, 2, new() { ["$anon_distinct_id"] = anonymous })
        );
        await world.Counted();

        (await world.Excluded()).ShouldBe(new() { ["several_variants"] = 1 });
        (await world.Arms()).ShouldBeEmpty();
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Fact]
    public async Task Two_devices_of_one_person_are_one()
    {
        var world = await World.Running(service);
        var (phone, known) = world.Pair(same: true);
        var laptop = world.Identity("laptop", world.Own(known));

        foreach (var device in new[] { phone, laptop })
        {
            await world.Given.Send(world.Exposure(device, world.Own(device), 1), world.Event("purchase", device, 2));
            await world.Given.Send(world.Event("$identify", known, 3, new() { ["$anon_distinct_id"] = device }));
        }

        await world.Counted();

        (await world.Arms()).ShouldBe(new() { [world.Own(known)] = (1, 2) });
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Fact]
    public async Task An_identity_is_joined_once_and_never_are_two_known_ones()
    {
        var world = await World.Running(service);
        var (anonymous, first) = world.Pair(same: true);
        var second = world.Identity("second", world.Own(first));

        await world.Given.Send(world.Event("$identify", second, 0));
        await world.Given.Send(world.Event("$identify", first, 1, new() { ["$anon_distinct_id"] = anonymous }));
        await world.Given.Send(
            world.Event("$identify", second, 2, new() { ["$anon_distinct_id"] = anonymous }),
            world.Event("$identify", second, 3, new() { ["$anon_distinct_id"] = first }),
            world.Event("$create_alias", second, 4, new() { ["alias"] = first }),
            world.Event("$create_alias", first, 5, new() { ["alias"] = second })
        );
        foreach (var identity in new[] { anonymous, first, second })
        {
            await world.Given.Send(world.Exposure(identity, world.Own(identity), 6));
        }

        await world.Counted();

        (await world.Rows()).ShouldBe(new[] { first, second }.Order(StringComparer.Ordinal));
        (await world.Arms()).ShouldBe(new() { [world.Own(first)] = (2, 0) });
        await world.MustBeWhatEventsSay(units: 2);
    }

    [Fact]
    public async Task An_alias_joins_whichever_of_the_two_is_not_known_yet()
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: true);
        var device = world.Identity("device", world.Own(known));

        await world.Given.Send(world.Event("$create_alias", anonymous, 1, new() { ["alias"] = known }));
        // As posthog-js does on another device: its own identity comes first, and the known one is the alias.
        await world.Given.Send(world.Event("$create_alias", device, 2, new() { ["alias"] = known }));
        await world.Given.Send(world.Exposure(device, world.Own(device), 3), world.Event("purchase", known, 4));
        await world.Counted();

        (await world.Rows()).ShouldHaveSingleItem();
        (await world.Arms()).ShouldBe(new() { [world.Own(known)] = (1, 1) });
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Theory]
    [InlineData("anonymous")]
    [InlineData("Undefined")]
    [InlineData("null")]
    [InlineData("0")]
    [InlineData(" ")]
    [InlineData("[object Object]")]
    public async Task What_stands_for_nobody_joins_nobody(string nobody)
    {
        var world = await World.Running(service);
        var (one, other) = world.Pair(same: true);

        foreach (var identity in new[] { one, other })
        {
            await world.Given.Send(
                world.Event("$identify", identity, 1, new() { ["$anon_distinct_id"] = nobody }),
                world.Event("$identify", nobody, 2, new() { ["$anon_distinct_id"] = identity }),
                world.Event("$create_alias", identity, 3, new() { ["alias"] = nobody }),
                world.Exposure(identity, world.Own(identity), 4)
            );
        }

        await world.Counted();

        (await world.Rows()).Count.ShouldBe(2);
        (await service.QueryAll<string>("SELECT identifier FROM identity_aliases WHERE identity <> known_as")).ShouldNotContain(nobody);
    }

    [Fact]
    public async Task Odd_statements_are_stored_and_join_nobody()
    {
        var world = await World.Running(service);
        var (one, _) = world.Pair(same: true);

        await world.Given.Send(
            world.Event("$identify", one, 1, new() { ["$anon_distinct_id"] = new JsonArray("a") }),
            world.Event("$identify", one, 2, new() { ["$anon_distinct_id"] = one }),
            world.Event("$identify", one, 3, new() { ["$anon_distinct_id"] = "" }),
            world.Event("$create_alias", one, 4),
            world.Event("$create_alias", "somebody", 5, new() { ["alias"] = new JsonObject() }),
            world.Event("$identify", one, 6, new() { ["$anon_distinct_id"] = 42 })
        );
        await world.Counted();

        (
            await service.QueryAll<string>(
                """
                SELECT identifier FROM identity_aliases
                WHERE environment_id = (SELECT id FROM environments WHERE key = @Key) AND identity <> known_as
                """,
                new { world.Given.Key }
            )
        ).ShouldBe(["42"]);
    }

    [Fact]
    public async Task Whatever_has_a_thousand_aliases_gets_no_more_for_it_is_no_person()
    {
        var world = await World.Running(service);
        await world.Given.Send([
            .. Enumerable
                .Range(0, 1500)
                .Select(n => (object)world.Event("$identify", "everybody", 1, new() { ["$anon_distinct_id"] = $"visitor-{n}" })),
        ]);
        await world.Counted();
        await world.Given.Send(world.Event("$identify", "everybody", 2, new() { ["$anon_distinct_id"] = "one-more" }));
        await world.Counted();

        (
            await service.Query<int>(
                """
                SELECT count(*)::int FROM identity_aliases
                WHERE environment_id = (SELECT id FROM environments WHERE key = @Key) AND identity <> known_as
                """,
                new { world.Given.Key }
            )
        ).ShouldBe(1000);
    }

    [Fact]
    public async Task An_old_statement_concerns_the_experiment_of_today()
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: true);
        await world.Given.Send(world.Exposure(anonymous, world.Own(anonymous), 1), world.Exposure(known, world.Own(known), 2));
        await world.Counted();
        var said = world.Event("$identify", known, 3, new() { ["$anon_distinct_id"] = anonymous });
        said["timestamp"] = DateTimeOffset.UtcNow.AddMonths(-3).ToUnixTimeMilliseconds();

        await world.Given.Send(said);
        await world.Counted();

        (await world.Rows()).ShouldBe([known]);
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Fact]
    public async Task A_metric_that_is_added_later_counts_what_the_alias_did()
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: true);
        await world.Given.Send(
            world.Exposure(anonymous, world.Own(anonymous), 1),
            world.Event("signup", anonymous, 2),
            world.Event("$identify", known, 3, new() { ["$anon_distinct_id"] = anonymous }),
            world.Event("signup", known, 4)
        );
        var metric = await world.Given.AMetric("count", "signups", new { @event = "signup" });

        (
            await world.Given.Admin.Post(
                $"{world.Given.Experiments}{world.Experiment.Id}/metrics/",
                new { metric = metric.Id, role = "secondary" }
            )
        ).Must(201);

        await Given.Eventually(async () =>
            (await world.Given.Results(world.Experiment))["metrics"].AsArray() is [_, var late]
            && late!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()) == 2
        );
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Fact]
    public async Task To_erase_a_person_erases_all_its_identities()
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: true);
        await world.Given.Send(
            world.Exposure(anonymous, world.Own(anonymous), 1),
            world.Event("$identify", known, 2, new() { ["$anon_distinct_id"] = anonymous }),
            world.Event("purchase", known, 3),
            world.Exposure("other", world.Own("other"), 4)
        );
        await world.Counted();
        var identities = $"/api/v1/environments/{world.Given.Key}/identities/";

        var exported = (await world.Given.Admin.Post($"{identities}export/", new { identifier = anonymous })).Must(200);
        exported["identifiers"].AsArray().Select(one => one!.GetValue<string>()).ShouldBe([anonymous, known], ignoreOrder: true);
        exported["event_count"].GetValue<int>().ShouldBe(3);
        exported["exposures"].AsArray().ShouldHaveSingleItem();
        var erased = (await world.Given.Admin.Post($"{identities}erase/", new { identifier = anonymous })).Must(200);

        erased["events"].GetValue<int>().ShouldBe(3);
        (await world.Rows()).ShouldBe(["other"]);
        (await world.Arms()).ShouldBe(new() { [world.Own("other")] = (1, 0) });
        (
            await service.Query<int>(
                "SELECT count(*)::int FROM identity_aliases WHERE environment_id = (SELECT id FROM environments WHERE key = @Key)",
                new { world.Given.Key }
            )
        ).ShouldBe(0);
        await world.MustBeWhatEventsSay(units: 1);
    }

    [Fact]
    public async Task Final_results_do_not_change_when_somebody_signs_in_afterwards()
    {
        var world = await World.Running(service);
        var (anonymous, known) = world.Pair(same: false);
        await world.Given.Send(world.Exposure(anonymous, world.Own(anonymous), 1));
        await world.Given.Send(world.Exposure(known, world.Own(known), 1));
        await world.Counted();
        await service.Execute(
            """
            UPDATE experiments SET status = 'completed', ended_at = now() - interval '3 days', started_at = now() - interval '9 days',
                runs = tstzmultirange(tstzrange(now() - interval '9 days', now() - interval '3 days'))
            WHERE id = @Id
            """,
            new { world.Experiment.Id }
        );

        await world.Given.Send(world.Event("$identify", known, 2, new() { ["$anon_distinct_id"] = anonymous }));
        await world.Counted();

        (await world.Rows()).Count.ShouldBe(2);
    }

    /// <summary>An experiment that runs, with the metric "purchase".</summary>
    private sealed class World
    {
        private int _identities;

        public required Given Given { get; init; }

        public required Reply Experiment { get; init; }

        private SharedService Service { get; init; } = null!;

        private string Salt { get; init; } = "";

        public static async Task<World> Running(SharedService service)
        {
            var given = await Given.AnEnvironment(service);
            var metric = await given.AMetric("count", "purchases", new { @event = "purchase" });
            var experiment = await given.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" });
            await given.Start(experiment);
            await service.Execute(
                """
                UPDATE experiments
                SET started_at = now() - interval '1 hour', runs = tstzmultirange(tstzrange(now() - interval '1 hour', NULL))
                WHERE id = @Id
                """,
                new { experiment.Id }
            );
            return new()
            {
                Given = given,
                Experiment = experiment,
                Service = service,
                Salt = await given.Salt(experiment),
            };
        }

        public string Own(string identity) => Assignment.Variant(Salt, identity, Assignment.Cumulate([50, 50])) == 0 ? "control" : "green";

        /// <summary>A new identity that is assigned this variant.</summary>
        public string Identity(string name, string variant)
        {
            for (; ; )
            {
                var identity = $"{name}-{_identities++}";
                if (Own(identity) == variant)
                {
                    return identity;
                }
            }
        }

        /// <summary>An anonymous identity and a known one, which are assigned the same variant or not.</summary>
        public (string Anonymous, string Known) Pair(bool same)
        {
            var anonymous = Identity("anonymous", "green");
            return (anonymous, Identity("known", same ? "green" : "control"));
        }

        public JsonObject Exposure(string identity, string variant, int second) =>
            Event("$flag_exposure", identity, second, null, ("feature_name", FeatureName), ("value", variant));

        public JsonObject Event(
            string name,
            string identity,
            int second,
            JsonObject? metadata = null,
            params (string Name, string Value)[] members
        )
        {
            var written = new JsonObject
            {
                ["event"] = name,
                ["identifier"] = identity,
                ["timestamp"] = Began + (10 * second),
            };
            foreach (var (member, value) in members)
            {
                written[member] = value;
            }

            if (metadata is not null)
            {
                written["metadata"] = metadata;
            }

            return written;
        }

        public Task Counted() =>
            Given.Eventually(async () =>
                await Service.Query<int>(
                    "SELECT count(*)::int FROM event_batches WHERE environment_id = (SELECT id FROM environments WHERE key = @Key)",
                    new { Given.Key }
                ) == 0
            );

        /// <summary>Identities and purchases of each variant that has any.</summary>
        public async Task<Dictionary<string, (int N, int Purchases)>> Arms() =>
            (await Given.Results(Experiment))["metrics"][0]!["arms"]!
                .AsArray()
                .Select(arm => (Key: arm!["key"]!.GetValue<string>(), N: arm["n"]!.GetValue<int>(), Sum: arm["sum"]!.GetValue<double>()))
                .Where(arm => arm.N > 0)
                .ToDictionary(arm => arm.Key, arm => (arm.N, (int)arm.Sum));

        public async Task<Dictionary<string, int>> Excluded() =>
            (await Given.Exposures(Experiment))["excluded"]
                .AsObject()
                .Where(reason => reason.Value!.GetValue<int>() > 0)
                .ToDictionary(reason => reason.Key, reason => reason.Value!.GetValue<int>());

        public Task<IReadOnlyList<string>> Rows() =>
            Service.QueryAll<string>(
                "SELECT identifier FROM exposures WHERE experiment_id = @Id ORDER BY identifier COLLATE \"C\"",
                new { Experiment.Id }
            );

        public async Task MustBeWhatEventsSay(int units)
        {
            await using var database = new DatabaseServer(Service.ConnectionString, null);
            await using var source = AggregationWorker.Source(database, null);
            RebuildReport? report = null;
            await Given.Eventually(async () =>
                (
                    report = await new RebuildFromEvents(Service.Store, source, TimeSpan.FromHours(24)).Run(
                        Experiment.Id,
                        CancellationToken.None
                    )
                )
                    is not null
            );
            report.ShouldBe(new(units, 0, 0));
        }

        private string FeatureName => Experiment["feature"]["name"]!.GetValue<string>();

        private long Began { get; } = DateTimeOffset.UtcNow.AddMinutes(-10).ToUnixTimeMilliseconds();
    }
}
