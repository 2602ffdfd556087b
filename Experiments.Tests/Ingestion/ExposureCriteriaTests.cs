using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Ingestion;

public class ExposureCriteriaTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Derived = """
        SELECT 'count ' || hour || ' ' || outcome || ' ' || count FROM exposure_counts WHERE experiment_id = @Id AND count <> 0
        UNION ALL
        SELECT 'sum ' || l.id || ' ' || s.arm || ' ' || trim_scale(s.y) || ' ' || trim_scale(s.yy) FROM metric_sums s
        JOIN experiment_metrics l ON l.id = s.link_id
        WHERE l.experiment_id = @Id AND s.y <> 0
        UNION ALL
        SELECT 'in ' || identifier || ' ' || COALESCE(counts_in::text, 'none') FROM exposures WHERE experiment_id = @Id
        ORDER BY 1
        """;

    [Theory]
    [InlineData("""5""", "exposure")]
    [InlineData("""[]""", "exposure")]
    [InlineData("""{"event": 5}""", "exposure.event")]
    [InlineData("""{"event": ""}""", "exposure.event")]
    [InlineData("""{"event": "  "}""", "exposure.event")]
    [InlineData("""{"event": "$flag_exposure"}""", "exposure.event")]
    [InlineData("""{"event": "$flag_else"}""", "exposure.event")]
    [InlineData("""{"event": "a\u0000b"}""", "exposure.event")]
    [InlineData("""{"feature_property": "variant"}""", "exposure.feature_property")]
    [InlineData("""{"event": "page_view", "feature_property": ""}""", "exposure.feature_property")]
    [InlineData("""{"event": "page_view", "feature_property": 5}""", "exposure.feature_property")]
    [InlineData("""{"test_identities": true}""", "exposure.test_identities")]
    [InlineData("""{"test_identities": {}}""", "exposure.test_identities.trait", "exposure.test_identities.values")]
    [InlineData("""{"test_identities": {"trait": " ", "values": ["a"]}}""", "exposure.test_identities.trait")]
    [InlineData("""{"test_identities": {"trait": "staff", "values": []}}""", "exposure.test_identities.values")]
    [InlineData("""{"test_identities": {"trait": "staff", "values": "a"}}""", "exposure.test_identities.values")]
    [InlineData("""{"test_identities": {"trait": "staff", "values": [null]}}""", "exposure.test_identities.values")]
    [InlineData("""{"test_identities": {"trait": "staff", "values": [{"a": 1}]}}""", "exposure.test_identities.values")]
    [InlineData("""{"test_identities": {"trait": "staff", "values": [1e400000]}}""", "exposure.test_identities.values[0]")]
    [InlineData("""{"test_identities": {"trait": "staff", "values": ["a"], "not": true}}""", "exposure.test_identities.not")]
    [InlineData("""{"multiple_variants": "last_seen"}""", "exposure.multiple_variants")]
    [InlineData("""{"multiple_variants": true}""", "exposure.multiple_variants")]
    [InlineData("""{"events": ["page_view"]}""", "exposure.events")]
    [InlineData("""{"filters": [{"property": "value", "operator": "exists"}]}""", "exposure.filters")]
    [InlineData("""{"event": "page_view", "filters": []}""", "exposure.filters")]
    [InlineData(
        """{"event": "page_view", "filters": [{"property": "page", "operator": "is"}]}""",
        "exposure.filters[0].property",
        "exposure.filters[0].operator"
    )]
    public async Task What_is_wrong_with_the_criteria_is_named_and_nothing_is_written(string exposure, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (
            await given.Admin.PostText(
                given.Experiments,
                $$"""{"name": "n", "hypothesis": "h", "feature": {"name": "f"}, "exposure": {{exposure}}}"""
            )
        )
            .Must(400)
            .Fields.ShouldBe(fields, ignoreOrder: true);
        (
            await service.Query<long>(
                "SELECT count(*) FROM environment_features f JOIN environments e ON e.id = f.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe(0);

        var draft = await given.AnExperiment();
        (await given.Admin.Patch($"{given.Experiments}{draft.Id}/", $$"""{"name": "new", "exposure": {{exposure}}}"""))
            .Must(400)
            .Fields.ShouldBe(fields, ignoreOrder: true);
        (await given.Admin.Get($"{given.Experiments}{draft.Id}/")).Text.ShouldBe(draft.Text);
        (await given.Audit("experiment", draft.Id)).ShouldBe(["experiment.created"]);
    }

    [Fact]
    public async Task The_criteria_are_read_as_they_were_written_and_change_before_the_start_only()
    {
        var given = await Given.AnEnvironment(service);
        const string All =
            """{"event": "page_view", "feature_property": "shown", "test_identities": {"trait": "staff", "values": ["yes", 1,"""
            + """ 1.5, true]}, "multiple_variants": "first_seen"}""";
        var experiment = await Made(given, All);
        var path = $"{given.Experiments}{experiment.Id}/";
        JsonNode.DeepEquals(experiment["exposure"], JsonNode.Parse(All)).ShouldBeTrue(experiment.Text);
        (
            await service.Query<bool>("SELECT exposure = @All::jsonb FROM experiments WHERE id = @Id", new { experiment.Id, All })
        ).ShouldBeTrue();

        (await given.Admin.Patch(path, """{"exposure": {"event": "seen"}}""")).Must(200);
        (await service.Query<string>("SELECT exposure::text FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(
            """{"event": "seen"}"""
        );
        (await given.Admin.Patch(path, """{"exposure": null}""")).MustName("exposure");
        (await given.Act(experiment.Id, "start")).Must(200);
        (await given.Admin.Patch(path, """{"exposure": {}}""")).MustBe(409, "experiment.settings_frozen");
        (await given.Admin.Patch(path, """{"exposure": {"event": "seen"}}""")).Must(200);
        (await service.Query<string>("SELECT exposure::text FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(
            """{"event": "seen"}"""
        );
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.updated", "experiment.started"]);
    }

    [Fact]
    public async Task Only_events_that_meet_the_conditions_are_exposures()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(
            given,
            """{"event": "page_view", "filters": [{"property": "metadata.page", "operator": "matches", "value": "^/shop"}]}"""
        );
        var at = Now();

        await given.Send([
            .. Enumerable
                .Range(0, 30)
                .Select(n =>
                    (object)
                        new
                        {
                            @event = "page_view",
                            identifier = $"user-{n}",
                            metadata = new { page = n % 3 == 0 ? "/shop/1" : "/home" },
                            timestamp = at,
                        }
                ),
        ]);

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(10);
        own("user-1").ShouldNotBeEmpty();
    }

    [Fact]
    public async Task Whoever_sends_the_event_saw_its_own_variant_where_no_property_names_one()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given, """{"event": "page_view"}""");
        var at = Now();

        await given.Send([
            .. Enumerable.Range(0, 50).Select(n => (object)Event("page_view", $"user-{n}", at, shown: "whatever")),
            // The event of the SDKs is none for this experiment, even when it names it.
            new JsonObject
            {
                ["event"] = "$flag_exposure",
                ["feature_name"] = Feature(experiment),
                ["identifier"] = "other",
                ["value"] = own("other"),
                ["timestamp"] = at,
                ["metadata"] = new JsonObject { ["experiment_id"] = experiment.Id },
            },
            Event("page_views", "another", at),
        ]);

        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(50);
        foreach (var variant in counted["variants"].AsArray())
        {
            variant!["identities"]!
                .GetValue<int>()
                .ShouldBe(Enumerable.Range(0, 50).Count(n => own($"user-{n}") == variant["key"]!.GetValue<string>()));
        }

        counted["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        (await service.Query<long>("SELECT count(*) FROM exposures WHERE experiment_id = @Id", new { experiment.Id })).ShouldBe(50);
    }

    [Fact]
    public async Task A_property_of_the_event_names_the_variant()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given, """{"event": "page_view", "feature_property": "shown"}""");
        var at = Now();
        var number = Event("page_view", "number", at);
        number["metadata"] = new JsonObject { ["shown"] = 1 };

        await given.Send(
            Event("page_view", "right", at, own("right")),
            Event("page_view", "wrong", at, Other(own("wrong"))),
            Event("page_view", "foreign", at, "purple"),
            Event("page_view", "both", at, own("both")),
            Event("page_view", "both", at + 1, Other(own("both"))),
            // On its way to a variant, or of another page: these say nothing of the experiment.
            Event("page_view", "nothing", at),
            number,
            Event("page_view", "later", at),
            Event("page_view", "later", at + 1, own("later")),
            Event("page_view", null, at, "control")
        );

        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(2);
        counted["excluded"]
            .ToJsonString()
            .ShouldBe(
                """{"several_variants":1,"not_its_own_variant":2,"not_enrolled":"""
                    + """0,"while_paused":0,"before_start":0,"no_identifier":1,"test_identity":0}"""
            );
        (
            await service.QueryAll<string>("SELECT identifier FROM exposures WHERE experiment_id = @Id ORDER BY 1", new { experiment.Id })
        ).ShouldBe(["both", "foreign", "later", "right", "wrong"]);
    }

    [Fact]
    public async Task Who_has_the_trait_of_a_test_is_excluded_whichever_exposure_says_so()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given, """{"test_identities": {"trait": "staff", "values": ["yes", 1, true]}}""");
        var at = Now();
        JsonObject Seen(string identity, JsonNode? staff = null, long after = 0)
        {
            var exposure = new JsonObject
            {
                ["event"] = "$flag_exposure",
                ["feature_name"] = Feature(experiment),
                ["identifier"] = identity,
                ["value"] = own(identity),
                ["timestamp"] = at + after,
            };
            if (staff is not null)
            {
                exposure["traits"] = new JsonObject { ["staff"] = staff, ["plan"] = "yes" };
            }

            return exposure;
        }

        await given.Send(
            Seen("text", "yes"),
            Seen("number", 1),
            Seen("decimal", 1.0),
            Seen("flag", true),
            Seen("first", "yes"),
            Seen("first", null, 1),
            Seen("last"),
            Seen("last", "yes", 1),
            Seen("before start", "yes", -3_600_000),
            Seen("before start"),
            Seen("other text", "Yes"),
            Seen("other kind", "1"),
            Seen("other number", 2),
            Seen("no", false),
            Seen("none"),
            new JsonObject
            {
                ["event"] = "$flag_exposure",
                ["feature_name"] = Feature(experiment),
                ["identifier"] = "other trait",
                ["value"] = own("other trait"),
                ["timestamp"] = at,
                ["traits"] = new JsonObject { ["plan"] = "yes" },
            }
        );

        var counted = await given.Counted(experiment);
        counted["excluded"]["test_identity"]!.GetValue<int>().ShouldBe(6);
        counted["total"].GetValue<int>().ShouldBe(7);
        (
            await service.QueryAll<string>(
                "SELECT identifier FROM exposures WHERE experiment_id = @Id AND counts_in IS NULL ORDER BY 1",
                new { experiment.Id }
            )
        ).ShouldBe(["decimal", "first", "flag", "last", "number", "text"], ignoreOrder: true);
    }

    [Theory]
    [InlineData("exclude", 1, 3)]
    [InlineData(null, 1, 3)]
    [InlineData("first_seen", 4, 0)]
    public async Task Who_saw_several_variants_is_left_out_or_counts_where_it_was_first(string? handling, int total, int several)
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given, handling is null ? "{}" : $$"""{"multiple_variants": "{{handling}}"}""");
        var at = Now();
        await Task.Delay(20);
        JsonObject Seen(string identity, string variant, long after) =>
            new()
            {
                ["event"] = "$flag_exposure",
                ["feature_name"] = Feature(experiment),
                ["identifier"] = identity,
                ["value"] = variant,
                ["timestamp"] = at + after,
            };

        // The later ones come in first, and are counted before the others are there.
        await given.Send(
            Seen("own first", Other(own("own first")), 5),
            Seen("other first", own("other first"), 5),
            Seen("foreign last", "purple", 5),
            Seen("one", own("one"), 5)
        );
        await given.Counted(experiment);
        await given.Send(
            Seen("own first", own("own first"), 2),
            Seen("other first", Other(own("other first")), 2),
            Seen("foreign last", own("foreign last"), 2)
        );

        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(total);
        counted["excluded"]["several_variants"]!.GetValue<int>().ShouldBe(several);
        counted["excluded"]["not_its_own_variant"]!.GetValue<int>().ShouldBe(0);
        var places = new[] { "control", "test" };
        foreach (
            var (identity, variant) in new[]
            {
                ("own first", own("own first")),
                ("other first", Other(own("other first"))),
                ("foreign last", own("foreign last")),
            }
        )
        {
            (
                await service.Query<short?>(
                    "SELECT counts_in FROM exposures WHERE experiment_id = @Id AND identifier = @identity",
                    new { experiment.Id, identity }
                )
            ).ShouldBe(total == 1 ? null : (short)Array.IndexOf(places, variant), identity);
        }
    }

    [Fact]
    public async Task Two_experiments_may_stand_on_the_same_event()
    {
        var given = await Given.AnEnvironment(service);
        var (one, _) = await Running(given, """{"event": "page_view"}""");
        var (two, own) = await Running(given, """{"event": "page_view", "feature_property": "shown"}""");
        var at = Now();

        await given.Send(Event("page_view", "a", at), Event("page_view", "b", at, own("b")), Event("page_view", "c", at, Other(own("c"))));

        (await given.Counted(one))["total"].GetValue<int>().ShouldBe(3);
        (await given.Counted(two))["total"].GetValue<int>().ShouldBe(1);
    }

    [Theory]
    [InlineData(1, "shown", "first_seen")]
    [InlineData(2, "shown", "exclude")]
    [InlineData(3, null, "first_seen")]
    public async Task With_all_criteria_and_a_holdout_a_full_recomputation_finds_nothing_that_differs(
        int seed,
        string? property,
        string handling
    )
    {
        var random = new Random(seed);
        var given = await Given.AnEnvironment(service);
        var holdout = (await given.Admin.Post($"{given.Root}/holdouts/", new { name = "h", percentage = 40 })).Must(201);
        var (bought, viewed) = (
            await given.AMetric("sum", "bought", new { @event = "purchase", property = "value" }),
            await given.AMetric("count", "viewed", new { @event = "page_view" })
        );
        var exposure = new JsonObject
        {
            ["event"] = "page_view",
            ["multiple_variants"] = handling,
            ["test_identities"] = JsonNode.Parse("""{"trait": "staff", "values": ["yes"]}"""),
        };
        if (property is not null)
        {
            exposure["feature_property"] = property;
        }

        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                $$"""
                {"name": "n", "hypothesis": "h", "feature": {"name": "f"}, "holdout": {{holdout.Id}}, "rollout_percentage": 80,
                    "exposure": {{exposure.ToJsonString()}},
                 "metrics": [{"metric": {{bought.Id}}, "expected_direction": "increase"},
                     {"metric": {{viewed.Id}}, "expected_direction": "increase"}]}
                """
            )
        ).Must(201);
        await given.Start(experiment);
        await service.Execute(
            """
            UPDATE experiments SET started_at = now() - interval '10 hours',
                runs = tstzmultirange(tstzrange(now() - interval '10 hours', now() - interval '6 hours'),
                    tstzrange(now() - interval '5 hours', NULL))
            WHERE id = @Id
            """,
            new { experiment.Id }
        );
        var (salt, holdoutSalt) = (
            await given.Salt(experiment),
            await service.Query<string>("SELECT salt FROM holdouts WHERE id = @Id", new { holdout.Id })
        );
        var halves = Assignment.Cumulate([50, 50]);
        string Own(string identity) => Assignment.Variant(salt, identity, halves) == 0 ? "control" : "test";
        bool IsHeldOut(string identity) => Assignment.Admits(holdoutSalt, identity, 40);
        var now = Now();
        bool Ran(long at) => (at > now - (10 * 3600_000) && at < now - (6 * 3600_000)) || at > now - (5 * 3600_000);
        var events = Enumerable
            .Range(0, 500)
            .Select(n =>
            {
                var identity = n % 50 == 0 ? null : $"user-{random.Next(80)}";
                // Each at an instant of its own, and none within a second of a boundary, which the model below knows less exactly than the
                // service.
                var at = now - (random.Next(11 * 60) * 60_000) - 30_000 + n;
                return (
                    Identity: identity,
                    At: at,
                    IsPurchase: n % 3 == 2,
                    IsTest: random.Next(60) == 0,
                    Price: random.Next(1, 10_000) / 100.0,
                    Shown: random.Next(12) switch
                    {
                        0 => "purple",
                        1 => "test",
                        2 => null,
                        _ => identity is null || IsHeldOut(identity) ? "control" : Own(identity),
                    }
                );
            })
            .ToList();

        // The model: the definition, applied to everything at once.
        var exposures = events.Where(e => !e.IsPurchase && e.At > now - (10 * 3600_000)).ToList();
        var outcomes = exposures
            .Where(e => e.Identity is not null)
            .GroupBy(e => e.Identity!)
            .Select(group =>
            {
                var (identity, own, heldOut) = (group.Key, IsHeldOut(group.Key) ? "control" : Own(group.Key), IsHeldOut(group.Key));
                var shown = group
                    .Where(e => Ran(e.At))
                    .OrderBy(e => e.At)
                    .Select(e => (e.At, e.IsTest, Variant: property is null ? own : e.Shown ?? (heldOut ? "control" : null)))
                    .Where(e => e.Variant is not null)
                    .ToList();
                var paused = group.Where(e => !Ran(e.At)).ToList();
                var variants = shown.Select(e => e.Variant!).Distinct().ToList();
                var outcome =
                    shown.Count + paused.Count == 0 ? "nothing"
                    : shown.Any(e => e.IsTest) || paused.Any(e => e.IsTest) ? "test_identity"
                    : shown.Count == 0 ? "while_paused"
                    : heldOut && (variants.Count > 1 || variants[0] != own) ? "not_its_own_variant"
                    : !heldOut && handling == "exclude" && variants.Count > 1 ? "several_variants"
                    : !heldOut && handling == "exclude" && variants[0] != own ? "not_its_own_variant"
                    : variants[0] == "purple" ? "not_its_own_variant"
                    : !Assignment.Admits(salt, identity, 80) ? "not_enrolled"
                    : heldOut ? "held_out"
                    : variants[0];
                return (Identity: identity, Result: outcome, From: shown.Count == 0 ? 0 : shown[0].At);
            })
            .ToList();
        int Count(string outcome) => outcomes.Count(each => each.Result == outcome);

        var sent = events
            .Concat(events.Take(60))
            .Select(e =>
                (object)(
                    e.IsPurchase
                        ? new JsonObject
                        {
                            ["event"] = "purchase",
                            ["identifier"] = e.Identity,
                            ["value"] = e.Price.ToString(System.Globalization.CultureInfo.InvariantCulture),
                            ["timestamp"] = e.At,
                        }
                        : Event("page_view", e.Identity, e.At, e.Shown, e.IsTest ? "yes" : "no")
                )
            )
            .ToArray();
        random.Shuffle(sent);
        foreach (var batch in sent.Chunk(70))
        {
            // What is sent again is sent in another request; twice in one it would have happened twice.
            await given.Send([.. batch.DistinctBy(e => ((JsonObject)e).ToJsonString())]);
            if (random.Next(2) == 0)
            {
                await given.Counted(experiment);
            }
        }

        var counted = await given.Counted(experiment);
        counted["held_out"].GetValue<int>().ShouldBe(Count("held_out"));
        foreach (var variant in counted["variants"].AsArray())
        {
            variant!["identities"]!.GetValue<int>().ShouldBe(Count(variant["key"]!.GetValue<string>()));
        }

        foreach (var (reason, count) in counted["excluded"].AsObject())
        {
            count!
                .GetValue<int>()
                .ShouldBe(reason == "no_identifier" ? exposures.Count(e => e.Identity is null && Ran(e.At)) : Count(reason), reason);
        }

        // What this is about is there at all.
        Count("held_out").ShouldBeGreaterThan(0);
        Count("test_identity").ShouldBeGreaterThan(0);
        var revenue = (await given.Results(experiment))["metrics"][0]!["arms"]!.AsArray();
        foreach (var arm in revenue)
        {
            var counting = outcomes
                .Where(each => each.Result == arm!["key"]!.GetValue<string>())
                .ToDictionary(each => each.Identity, each => each.From);
            arm!["sum"]!
                .GetValue<double>()
                .ShouldBe(
                    events
                        .Where(e =>
                            e.IsPurchase
                            && e.Identity is not null
                            && counting.TryGetValue(e.Identity, out var from)
                            && e.At >= from
                            && Ran(e.At)
                        )
                        .Sum(e => e.Price),
                    1e-6
                );
        }

        var aggregated = await service.QueryAll<string>(Derived, new { experiment.Id });
        await using var database = new DatabaseServer(service.ConnectionString, null);
        await using var source = AggregationWorker.Source(database, null);
        RebuildReport? report = null;
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None))
                is not null
        );
        (report!.Exposures, report.Units).ShouldBe((0, 0));
        (await service.QueryAll<string>(Derived, new { experiment.Id })).ShouldBe(aggregated);
        RebuildFromUnits.Report? sums = null;
        await Given.Eventually(async () =>
            (sums = await new RebuildFromUnits(source).Run(experiment.Id, CancellationToken.None)) is not null
        );
        sums!.Differing.ShouldBe(0);
        (await service.QueryAll<string>(Derived, new { experiment.Id })).ShouldBe(aggregated);

        // Whatever has been done to what is derived, the events say what it should be.
        await service.Execute(
            """
            UPDATE exposures SET first_shown = 1 - first_shown WHERE experiment_id = @Id AND first_shown IN (0, 1);
            UPDATE exposures SET assigned_variants = 1, counts_in = 0 WHERE experiment_id = @Id AND assigned_variants = 1 << 30;
            DELETE FROM unit_metrics WHERE experiment_id = @Id AND arm = -1;
            UPDATE exposure_counts SET count = 0 WHERE experiment_id = @Id AND outcome = 'held_out';
            """,
            new { experiment.Id }
        );
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None))
                is not null
        );
        report.Exposures.ShouldBeGreaterThan(10);
        (await service.QueryAll<string>(Derived, new { experiment.Id })).ShouldBe(aggregated);
    }

    private static async Task<Reply> Made(Given given, string exposure) =>
        (
            await given.Admin.Post(
                given.Experiments,
                $$"""{"name": "n", "hypothesis": "h", "feature": {"name": "f-{{Guid.NewGuid():N}}"}, "exposure": {{exposure}}}"""
            )
        ).Must(201);

    private static async Task<(Reply Experiment, Func<string, string> Own)> Running(Given given, string exposure)
    {
        var experiment = await Made(given, exposure);
        await given.Start(experiment);
        var (salt, halves) = (await given.Salt(experiment), Assignment.Cumulate([50, 50]));
        return (experiment, identity => Assignment.Variant(salt, identity, halves) == 0 ? "control" : "test");
    }

    private static JsonObject Event(string name, string? identity, long at, string? shown = null, string? staff = null)
    {
        var sent = new JsonObject
        {
            ["event"] = name,
            ["identifier"] = identity,
            ["timestamp"] = at,
            ["metadata"] = new JsonObject { ["page"] = "/" },
        };
        if (shown is not null)
        {
            sent["metadata"]!["shown"] = shown;
        }

        if (staff is not null)
        {
            sent["traits"] = new JsonObject { ["staff"] = staff };
        }

        return sent;
    }

    private static string Other(string variant) => variant == "control" ? "test" : "control";

    private static string Feature(Reply experiment) => experiment["feature"]["name"]!.GetValue<string>();

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
}
