using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Warehouse;

/// <summary>What becomes of an experiment whose source, connection or rows are corrected, or cannot be what they should.</summary>
public class WarehouseCorrectionTests(WarehouseService service, PostgreSqlWarehouse warehouse)
    : IClassFixture<WarehouseService>,
        IClassFixture<PostgreSqlWarehouse>
{
    [Fact]
    public async Task A_source_that_is_corrected_is_read_at_once()
    {
        var world = await WarehouseWorld.In(service, warehouse);
        var experiment = await ARead(world);
        await world.Execute(
            $"""
            CREATE TABLE right_{world.Assignments} AS SELECT 'u' || n AS "user", 'control' AS variant, now() - interval '2 hours' AS at,
                'the one' AS experiment, '' AS country, '' AS plan FROM generate_series(1, 3) n
            """
        );

        await Patch(world, experiment, Source(world, $"right_{world.Assignments}"));
        (await Results(world, experiment))["total"].GetValue<int>().ShouldBe(3);
        await Patch(world, experiment, Source(world, "no_such_table"));
        (await Results(world, experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain("no_such_table");
        await Patch(world, experiment, Source(world, $"right_{world.Assignments}"));
        (await Results(world, experiment))["warehouse"]["error"].ShouldBeNull();

        // As is one whose results are those of its end.
        await Patch(world, experiment, world.Source);
        (await world.Given.Act(experiment.Id, "complete")).Must(200);
        (await Results(world, experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_connection_that_is_changed_is_asked_at_once()
    {
        var world = await WarehouseWorld.In(service, warehouse);
        var experiment = await ARead(world);
        var path = world.ConnectionPath;

        (await service.Admin.Patch(path, new { database = "template1" })).Must(200);
        (await Results(world, experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain("does not exist");
        (await service.Admin.Patch(path, new { database = warehouse.Database, username = "nobody" })).Must(200);
        (await Results(world, experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain("nobody");
        (await service.Admin.Patch(path, new { username = warehouse.Username })).Must(200);
        (await Results(world, experiment))["warehouse"]["error"].ShouldBeNull();
    }

    [Fact]
    public async Task What_was_read_through_a_connection_that_has_been_changed_since_is_not_kept()
    {
        var world = await WarehouseWorld.In(service, warehouse);
        var experiment = await world.Given.Start(await world.AnExperiment([], world.Source));
        await RandomWorld.MoveBack(service, experiment);
        await world.Execute(
            $"""
            CREATE VIEW slow_{world.Assignments} AS SELECT 'u' AS "user", 'control' AS variant, now() - interval '2 hours' AS at,
                'the one' AS experiment, pg_sleep(2)::text AS country, '' AS plan
            """
        );
        await Patch(world, experiment, Source(world, $"slow_{world.Assignments}"));
        (await world.Given.Act(experiment.Id, "results/refresh")).Must(202);

        var path = world.ConnectionPath;
        (await service.Admin.Patch(path, new { database = "template1" })).Must(200);
        await Task.Delay(1500);

        const string kept = "SELECT count(*) FROM exposures WHERE experiment_id = @Id";
        (await service.Query<long>(kept, new { experiment.Id })).ShouldBe(0);
        (await world.Read(experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain("does not exist");
    }

    [Fact]
    public async Task A_row_whose_JSON_no_event_could_have_has_none_and_the_others_count()
    {
        var world = await WarehouseWorld.In(service, warehouse);
        var given = world.Given;
        var metric = await given.AMetric(
            "count",
            definition: new
            {
                @event = "buy",
                filters = new[]
                {
                    new
                    {
                        property = "metadata.plan",
                        @operator = "equals",
                        value = "pro",
                    },
                },
            }
        );
        var experiment = await ARead(world, metric);
        await world.Execute(
            $$"""
            CREATE TABLE odd_{{world.Assignments}} AS
            SELECT 'u1' AS "user", 'buy' AS name, now() - interval '1 hour' AS at, '1' AS value, props
            FROM unnest(ARRAY['{"plan": "pro", "cut": "\ud83d"}', '{"plan": "pro", "\ud800": 1}', '{"plan": "pro", "nul": "\u0000"}',
                'no JSON', '["{\"plan\": \"pro\"}"]',
                '"{\"plan\": \"pro\"}"', E' \n{"plan": "pro"}', '{"plan": "pro", "path": "C:\\u0000"}',
                '{"plan": "pro", "whole": "\ud83d\ude00"}'])
                AS props
            """
        );
        var source = Source(world, world.Assignments);
        source["events"]!["table"] = $"odd_{world.Assignments}";
        await Patch(world, experiment, source);

        var results = await Results(world, experiment);

        results["warehouse"]["error"].ShouldBeNull(results.Text);
        results["metrics"][0]!["arms"]![0]!["sum"]!.GetValue<double>().ShouldBe(3);
    }

    [Fact]
    public async Task A_name_stays_a_name_whatever_the_server_makes_of_backslashes()
    {
        var world = await WarehouseWorld.In(service, warehouse);
        var experiment = await ARead(world);
        var name = "\\', (SELECT s FROM secret), $$country$$, (SELECT s FROM secret)) AS text) --";
        await world.Execute(
            "CREATE TABLE secret AS SELECT 'TOPSECRET' AS s; ALTER ROLE CURRENT_USER SET standard_conforming_strings = off"
        );
        try
        {
            var source = Source(world, world.Assignments);
            source["assignments"]!["traits"] = new JsonArray(name);
            await Patch(world, experiment, source);

            (await Results(world, experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain("does not exist");
        }
        finally
        {
            await world.Execute("ALTER ROLE CURRENT_USER RESET standard_conforming_strings");
        }
    }

    [Fact]
    public async Task A_project_whose_warehouse_never_answers_keeps_no_other_from_testing_its_own()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var slow = await WarehouseWorld.In(service, warehouse);
        var fine = await WarehouseWorld.In(service, warehouse);
        var path = slow.ConnectionPath;
        (await service.Admin.Patch(path, new { port = ((IPEndPoint)silent.LocalEndpoint).Port, password = "" })).Must(200);

        var waiting = Enumerable.Range(0, 6).Select(_ => service.Admin.Post($"{path}test/")).ToList();
        (await service.Admin.Post($"{fine.ConnectionPath}test/")).Must(200);

        waiting.ShouldContain(test => !test.IsCompleted);
        var replies = await Task.WhenAll(waiting);
        foreach (var reply in replies.Where(reply => reply.Code == 429))
        {
            reply.MustBe(429, "request.too_many")["detail"].GetValue<string>().ShouldContain("their warehouses");
            reply.Headers.RetryAfter.ShouldNotBeNull();
        }

        replies.Count(reply => reply.Code == 429).ShouldBe(4);
        replies.Count(reply => reply.Problem == "warehouse.failed").ShouldBe(2);
    }

    private async Task<Reply> ARead(WarehouseWorld world, params Reply[] metrics)
    {
        await world.Execute(
            $"INSERT INTO {world.Assignments} VALUES ('u1', 'control', now() - interval '2 hours', 'the one', 'de', 'pro')"
        );
        var experiment = await world.Given.Start(await world.AnExperiment(metrics, world.Source));
        await RandomWorld.MoveBack(service, experiment);
        (await world.Read(experiment))["total"].GetValue<int>().ShouldBe(1);
        return experiment;
    }

    // Without asking for a refresh.
    private static async Task<Reply> Results(WarehouseWorld world, Reply experiment) =>
        (await world.Given.Admin.Get($"{world.Given.Experiments}{experiment.Id}/results/")).Must(200);

    private static async Task Patch(WarehouseWorld world, Reply experiment, object source) =>
        (await world.Given.Admin.Patch($"{world.Given.Experiments}{experiment.Id}/", new { source })).Must(200);

    private static JsonNode Source(WarehouseWorld world, string assignments)
    {
        var source = JsonSerializer.SerializeToNode(world.Source)!;
        source["assignments"]!["table"] = assignments;
        return source;
    }
}
