using System.Text.Json.Nodes;
using Experiments.Api.Analysis;
using Microsoft.Extensions.DependencyInjection;

namespace Experiments.Tests.Warehouse;

/// <summary>Experiments that are counted from PostgreSQL.</summary>
public class PostgreSqlExperimentTests(WarehouseService service, PostgreSqlWarehouse warehouse)
    : WarehouseExperimentTests(service, warehouse),
        IClassFixture<WarehouseService>,
        IClassFixture<PostgreSqlWarehouse>
{
    private readonly WarehouseService _service = service;
    private readonly PostgreSqlWarehouse _warehouse = warehouse;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public Task It_gives_what_the_same_events_give_when_they_are_sent(int seed) => GivesWhatTheSameEventsGive(seed);

    [Fact]
    public Task A_wrong_column_is_named_and_what_was_read_before_stays() => AWrongColumnIsNamedAndWhatWasReadBeforeStays();

    [Fact]
    public async Task A_read_can_change_nothing_there_and_takes_no_longer_than_it_may()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        await world.Execute(
            $"""
            CREATE FUNCTION tick_{world.Assignments}() RETURNS text LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO {world.Assignments} DEFAULT VALUES; RETURN 'u1'; END $$;
            CREATE VIEW writes_{world.Assignments} AS
                SELECT tick_{world.Assignments}() AS "user", 'control' AS variant, now() - interval '1 hour' AS at,
                    'the one' AS experiment, '' AS country, '' AS plan;
            CREATE VIEW sleeps_{world.Assignments} AS
                SELECT 'u1' AS "user", 'control' AS variant, now() - interval '1 hour' AS at,
                    'the one' AS experiment, pg_sleep(60)::text AS country, '' AS plan;
            """
        );
        var experiment = await given.Start(await world.AnExperiment([], world.Source));

        foreach (var (view, said) in new[] { ("writes", "read-only"), ("sleeps", "within 5 s") })
        {
            var source = System.Text.Json.JsonSerializer.SerializeToNode(world.Source)!;
            source["assignments"]!["table"] = $"{view}_{world.Assignments}";
            (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { source })).Must(200);
            (await world.Read(experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain(said);
        }
    }

    [Fact]
    public async Task Assignments_count_in_the_runs_of_the_experiment_and_once()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var metric = await given.AMetric("sum", definition: new { @event = "purchase" });
        var experiment = await given.Start(await world.AnExperiment([metric], world.Source));
        await RandomWorld.MoveBack(_service, experiment);
        long Ago(double hours) => DateTimeOffset.UtcNow.AddHours(-hours).ToUnixTimeMilliseconds();
        await world.Write([
            Exposure("runs", "control", Ago(8)),
            Exposure("runs", "control", Ago(2)),
            Exposure("pause", "green", Ago(5.5)),
            Exposure("early", "green", Ago(11)),
            Exposure("years ago", "green", Ago(9000)),
            Exposure("both", "green", Ago(4)),
            Exposure("both", "control", Ago(3)),
            Exposure("foreign", "purple", Ago(4)),
            Exposure("later", "green", Ago(-5)),
            Exposure("", "green", Ago(4)),
            Purchase("runs", "12.5", Ago(7)),
            // Equal to the one before, and another one.
            Purchase("runs", "12.5", Ago(7)),
            Purchase("runs", "7", Ago(9)),
            Purchase("runs", "100", Ago(5.5)),
            Purchase("nobody", "100", Ago(4)),
        ]);

        var results = await world.Read(experiment);

        results["total"].GetValue<int>().ShouldBe(1);
        var excluded = results["excluded"];
        foreach (
            var (reason, count) in new[]
            {
                ("several_variants", 1),
                ("not_its_own_variant", 1),
                ("while_paused", 1),
                ("before_start", 1),
                ("no_identifier", 1),
            }
        )
        {
            excluded[reason]!.GetValue<int>().ShouldBe(count, reason);
        }

        results["metrics"][0]!["arms"]![0]!["sum"]!.GetValue<double>().ShouldBe(25);
        var unit = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/metrics/{experiment["metrics"][0]!["id"]}/units/")).Must(
            200
        );
        unit.Text.ShouldContain("runs");
        // Events that are sent to the service do not count in it, nor does a holdout or an exposure event go with it.
        await given.ExposeAndConvert(experiment, 5);
        await given.Counted(experiment);
        (await world.Read(experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_metric_that_is_attached_later_is_complete_with_the_next_read_and_a_completed_experiment_is_final()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var experiment = await given.Start(await world.AnExperiment([await given.AMetric("count")], world.Source));
        await RandomWorld.MoveBack(_service, experiment);
        var at = DateTimeOffset.UtcNow.AddHours(-2).ToUnixTimeMilliseconds();
        await world.Write([Exposure("u1", "control", at), Purchase("u1", "9", at + 1)]);
        (await world.Read(experiment))["total"].GetValue<int>().ShouldBe(1);

        var later = await given.AMetric("sum", "later");
        (
            await given.Admin.Post(
                $"{given.Experiments}{experiment.Id}/metrics/",
                new
                {
                    metric = later.Id,
                    role = "secondary",
                    expected_direction = "increase",
                }
            )
        ).Must(201);
        var read = await world.Read(experiment);
        read["metrics"][1]!["arms"]![0]!["sum"]!.GetValue<double>().ShouldBe(9);
        read["metrics"][1]!["is_backfilling"].ShouldBeNull();

        (await given.Act(experiment.Id, "complete")).Must(200);
        await _service.Execute(
            """
            UPDATE experiments SET ended_at = now() - interval '30 hours', started_at = started_at - interval '40 hours',
                runs = tstzmultirange(tstzrange(now() - interval '50 hours', now() - interval '30 hours'))
            WHERE id = @Id
            """,
            new { experiment.Id }
        );
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200)["is_final"].GetValue<bool>().ShouldBeTrue();
    }

    [Fact]
    public async Task A_reset_forgets_what_was_read_and_a_copy_has_the_same_source()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var experiment = await given.Start(await world.AnExperiment([await given.AMetric("count")], world.Source));
        await Task.Delay(5);
        await world.Write([Exposure("u1", "control", DateTimeOffset.UtcNow.ToUnixTimeMilliseconds())]);
        (await world.Read(experiment))["total"].GetValue<int>().ShouldBe(1);

        var reset = (await given.Act(experiment.Id, "reset")).Must(200);

        reset["source"]["connection"]!.GetValue<long>().ShouldBe(world.Connection);
        (await _service.Query<long>("SELECT count(*) FROM warehouse_reads WHERE experiment_id = @Id", new { experiment.Id })).ShouldBe(0);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200)["total"].GetValue<int>().ShouldBe(0);
        var copy = (await given.Act(experiment.Id, "duplicate", new { feature = (await given.AFeature()).Id })).Must(201);
        // But for the key, by which the assignments of the original would count once more.
        var expected = reset["source"].DeepClone();
        expected["assignments"]!.AsObject().Remove("experiment_key");
        JsonNode.DeepEquals(copy["source"], expected).ShouldBeTrue(copy.Text);
    }

    [Fact]
    public async Task What_another_source_gave_is_forgotten_and_a_read_that_was_overtaken_writes_nothing()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var experiment = await given.Start(await world.AnExperiment([await given.AMetric("count")], world.Source));
        await RandomWorld.MoveBack(_service, experiment);
        await world.Write([Exposure("u1", "control", DateTimeOffset.UtcNow.AddHours(-2).ToUnixTimeMilliseconds())]);
        (await world.Read(experiment))["total"].GetValue<int>().ShouldBe(1);
        await _service.Services.GetRequiredService<ResultsRefreshJob>().Look(experiment.Id, CancellationToken.None);
        const string Looked = "SELECT count(*) FROM results WHERE experiment_id = @Id AND evidence IS NOT NULL AND looked_at IS NOT NULL";
        (await _service.Query<long>(Looked, new { experiment.Id })).ShouldBe(1);

        // Long enough for what comes in between.
        var source = await SlowSource(world);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { source })).Must(200);
        (await _service.Query<long>(Looked, new { experiment.Id })).ShouldBe(0);
        var before = await _service.Query<DateTime>("SELECT as_of FROM warehouse_reads WHERE experiment_id = @Id", new { experiment.Id });
        (await given.Act(experiment.Id, "results/refresh")).Must(202);
        (await given.Act(experiment.Id, "reset")).Must(200);
        await Task.Delay(1500);

        (await _service.Query<long>("SELECT count(*) FROM warehouse_reads WHERE experiment_id = @Id", new { experiment.Id })).ShouldBe(0);
        (await _service.Query<long>("SELECT count(*) FROM exposures WHERE experiment_id = @Id", new { experiment.Id })).ShouldBe(0);
        before.ShouldBeGreaterThan(DateTime.UnixEpoch);
    }

    [Fact]
    public async Task A_read_that_takes_longer_than_a_request_waits_shows_once_it_is_done()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var source = await SlowSource(world);
        var experiment = await given.Start(await world.AnExperiment([], source));
        await RandomWorld.MoveBack(_service, experiment);
        await world.Write([Exposure("u1", "control", DateTimeOffset.UtcNow.AddHours(-2).ToUnixTimeMilliseconds())]);

        var first = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200);

        first["total"].GetValue<int>().ShouldBe(0);
        // Without another refresh.
        await Given.Eventually(async () =>
            (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200)["total"].GetValue<int>() == 1
        );
        var exposures = await given.Exposures(experiment);
        exposures["events_not_counted"].GetValue<int>().ShouldBe(0);
        exposures["as_of"]
            .GetValue<DateTime>()
            .ShouldBe((await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/"))["as_of"].GetValue<DateTime>());
    }

    [Fact]
    public async Task More_rows_than_may_be_are_told()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var experiment = await given.Start(await world.AnExperiment([], world.Source));
        await RandomWorld.MoveBack(_service, experiment);
        await world.Execute(
            $"INSERT INTO {world.Assignments} SELECT 'u' || n, 'control', now() - interval '1 hour', 'the one'"
                + " FROM generate_series(1, 100001) n"
        );

        (await world.Read(experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain("100,001 of 100,000");
    }

    [Fact]
    public async Task A_source_is_checked_and_does_not_go_together_with_what_it_replaces()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var feature = (await given.AFeature()).Id;
        var source = System.Text.Json.JsonSerializer.SerializeToNode(world.Source)!;
        object Body(object of, object? more = null) =>
            new
            {
                name = "n",
                hypothesis = "h",
                feature,
                source = of,
                exposure = more,
            };

        foreach (
            var (path, value, field) in new (string, object?, string)[]
            {
                ("connection", null, "source.connection"),
                ("connection", 999_999, "source.connection"),
                ("assignments", null, "source.assignments"),
                ("events", null, "source.events"),
                ("assignments/table", "a.b.c", "source.assignments.table"),
                ("assignments/table", "a.", "source.assignments.table"),
                ("assignments/unit", "", "source.assignments.unit"),
                ("assignments/variant", null, "source.assignments.variant"),
                ("assignments/at", "a\nb", "source.assignments.at"),
                ("assignments/experiment", null, "source.assignments.experiment_key"),
                ("assignments/traits", new[] { "a", "a" }, "source.assignments.traits"),
                ("events/event", null, "source.events.event"),
                ("events/properties", new[] { "a" }, "source.events.properties"),
            }
        )
        {
            var wrong = source.DeepClone();
            var parts = path.Split('/');
            var of = parts.Length == 1 ? wrong : wrong[parts[0]]!;
            of[parts[^1]] = System.Text.Json.JsonSerializer.SerializeToNode(value);
            (await given.Admin.Post(given.Experiments, Body(wrong))).MustName(field);
        }

        var holdout = (await given.AHoldout(10)).Id;
        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature,
                    source,
                    holdout,
                }
            )
        ).MustName("holdout");
        (await given.Admin.Post(given.Experiments, Body(source, new { @event = "seen" }))).MustName("exposure.event");
        (await _service.Query<long>("SELECT count(*) FROM experiments WHERE feature_id = @feature", new { feature })).ShouldBe(0);

        var experiment = (await given.Admin.Post(given.Experiments, Body(source))).Must(201);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { holdout })).MustName("holdout");
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { source = (object?)null }))
            .Must(200)
            .Json!["source"]
            .ShouldBeNull();
        (await given.Act(experiment.Id, "source/test")).MustBe(409, "experiment.no_source");
        await given.Start(experiment);
        // Whether it has one is fixed by the start.
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { source })).MustBe(409, "experiment.settings_frozen");
        var stranger = await WarehouseWorld.In(_service, _warehouse);
        (
            await stranger.Given.Admin.Post(
                stranger.Given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = (await stranger.Given.AFeature()).Id,
                    source,
                }
            )
        ).MustName("source.connection");
    }

    [Fact]
    public async Task A_connection_that_an_experiment_needs_cannot_be_deleted()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var experiment = await given.Start(await world.AnExperiment([], world.Source));
        var path = world.ConnectionPath;

        (await given.Admin.Delete(path)).MustBe(409, "warehouse_connection.in_use");
        (await given.Act(experiment.Id, "complete")).Must(200);
        // Late rows still count.
        (await given.Admin.Delete(path)).MustBe(409, "warehouse_connection.in_use");
        await _service.Execute(
            """
            UPDATE experiments SET ended_at = now() - interval '30 hours', started_at = now() - interval '40 hours',
                runs = tstzmultirange(tstzrange(now() - interval '40 hours', now() - interval '30 hours'))
            WHERE id = @Id
            """,
            new { experiment.Id }
        );
        // Until they have been read for the last time.
        (await given.Admin.Delete(path)).MustBe(409, "warehouse_connection.in_use");
        var results = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200);
        results["is_final"].GetValue<bool>().ShouldBeTrue();

        (await given.Admin.Delete(path)).Must(204);

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200)["is_final"].GetValue<bool>().ShouldBeTrue();
        var elsewhere = new { feature = (await given.AFeature()).Id };
        (await given.Act(experiment.Id, "duplicate", elsewhere)).MustBe(409, "experiment.connection_deleted");
        (await _service.Query<long>("SELECT count(*) FROM experiments WHERE feature_id = @feature", elsewhere)).ShouldBe(0);
    }

    // Each assignment takes two seconds to read.
    private static async Task<JsonNode> SlowSource(WarehouseWorld world)
    {
        await world.Execute(
            $"""
            CREATE VIEW slow_{world.Assignments} AS
            SELECT "user", variant, at, experiment, pg_sleep(2)::text AS country, plan FROM {world.Assignments}
            """
        );
        var source = System.Text.Json.JsonSerializer.SerializeToNode(world.Source)!;
        source["assignments"]!["table"] = $"slow_{world.Assignments}";
        return source;
    }

    private static JsonObject Purchase(string who, string value, long at) =>
        new()
        {
            ["event"] = "purchase",
            ["identifier"] = who,
            ["value"] = value,
            ["timestamp"] = at,
        };
}
