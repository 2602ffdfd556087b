using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Warehouse;

/// <summary>Experiments that are counted from tables of a warehouse.</summary>
public abstract class WarehouseExperimentTests(WarehouseService service, IWarehouseServer warehouse)
{
    protected async Task GivesWhatTheSameEventsGive(int seed)
    {
        var random = new Random(seed);
        var world = await WarehouseWorld.In(service, warehouse);
        var given = world.Given;
        var metrics = await RandomWorld.EveryKindOfMetric(given);
        var sent = await given.Start(await world.AnExperiment(metrics));
        var read = await given.Start(await world.AnExperiment(metrics, world.Source));
        await RandomWorld.MoveBack(service, sent);
        await service.Execute(
            """
            UPDATE experiments e SET started_at = o.started_at, runs = o.runs FROM experiments o WHERE e.id = @Read AND o.id = @Sent
            """,
            new { Read = read.Id, Sent = sent.Id }
        );
        var (salt, halves) = (await given.Salt(sent), Assignment.Cumulate([50, 50]));
        var events = RandomWorld.Events(
            random,
            900,
            DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            sent["feature"]["name"]!.GetValue<string>(),
            identity => Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green"
        );
        // Several that are equal, somebody without a name, and an experiment that is another one's.
        events[1] = new JsonObject
        {
            ["event"] = "view",
            ["identifier"] = events[0]["identifier"]!.DeepClone(),
            ["timestamp"] = events[0]["timestamp"]!.DeepClone(),
        };
        events[2] = (JsonObject)events[1].DeepClone();
        foreach (var exposure in events.Where(one => one["event"]!.GetValue<string>() == "$flag_exposure"))
        {
            exposure["metadata"] = new JsonObject { ["experiment_id"] = sent.Id };
        }

        await world.Write(events);
        await world.Execute(
            $"INSERT INTO {world.Assignments} SELECT \"user\", 'red', at, 'another', country, plan FROM {world.Assignments}"
        );
        foreach (var batch in events.Chunk(300))
        {
            await given.Send([.. batch.Select(one => (object)one)]);
        }

        await Given.Eventually(() => service.Query<bool>(RandomWorld.HasMatured));
        var expected = await given.Results(sent);
        var actual = await world.Read(read);

        actual["warehouse"]["error"].ShouldBeNull(actual.Text);
        actual["events_not_counted"].GetValue<int>().ShouldBe(0);
        actual["total"].GetValue<int>().ShouldBeGreaterThan(20);
        foreach (var member in new[] { "variants", "excluded", "sample_ratio", "held_out", "total" })
        {
            Same(expected.Json![member], actual.Json![member]);
        }

        Same(expected["metrics"], actual["metrics"]);
        Same((await given.Exposures(sent))["variants"], (await given.Exposures(read))["variants"]);
        foreach (var report in new[] { "results/breakdowns/?trait=country", "results/days/", "results/timeline/" })
        {
            var (one, other) = (await Report(sent, report), await Report(read, report));
            Same(Without(one), Without(other));
        }

        (await Sums(read)).ShouldBe(await Sums(sent));

        // What is read again changes nothing, and what is gone from the warehouse is gone.
        Same(expected["metrics"], (await world.Read(read))["metrics"]);
        await world.Execute($"{(warehouse.Kind == "postgresql" ? "DELETE FROM" : "TRUNCATE TABLE")} {world.Assignments}");
        (await world.Read(read))["total"].GetValue<int>().ShouldBe(0);

        Task<IReadOnlyList<string>> Sums(Reply of) => service.QueryAll<string>(RandomWorld.Sums, new { of.Id });

        async Task<Reply> Report(Reply of, string path) => (await given.Admin.Get($"{given.Experiments}{of.Id}/{path}")).Must(200);

        static JsonNode Without(Reply reply)
        {
            var json = reply.Json!.DeepClone().AsObject();
            json.Remove("as_of");
            return json;
        }
    }

    protected async Task AWrongColumnIsNamedAndWhatWasReadBeforeStays()
    {
        var world = await WarehouseWorld.In(service, warehouse);
        var given = world.Given;
        var metric = await given.AMetric("count");
        var experiment = await given.Start(await world.AnExperiment([metric], world.Source));
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() + 1;
        await Task.Delay(5);
        await world.Write([Exposure("u1", "control", now), Exposure("u2", "green", now)]);
        (await world.Read(experiment))["total"].GetValue<int>().ShouldBe(2);
        var tested = (await given.Act(experiment.Id, "source/test")).Must(200);
        tested["variants"].AsArray().Select(one => one!["name"]!.GetValue<string>()).Order().ShouldBe(["control", "green"]);

        var source = JsonNode.Parse(System.Text.Json.JsonSerializer.Serialize(world.Source))!;
        source["events"]!["value"] = "no_such_column";
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { source })).Must(200);

        var failed = await world.Read(experiment);
        failed["warehouse"]["error"]!.GetValue<string>().ShouldContain("no_such_column");
        failed["total"].GetValue<int>().ShouldBe(2);
        source["assignments"]!["table"] = "no_such_table";
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { source })).Must(200);
        (await given.Act(experiment.Id, "source/test"))
            .MustBe(422, "warehouse.failed")["detail"]
            .GetValue<string>()
            .ShouldContain("no_such_table");

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { source = world.Source })).Must(200);
        (await world.Read(experiment))["warehouse"]["error"].ShouldBeNull();
    }

    protected static JsonObject Exposure(string who, string variant, long at) =>
        new()
        {
            ["event"] = "$flag_exposure",
            ["identifier"] = who,
            ["value"] = variant,
            ["timestamp"] = at,
        };

    private static void Same(JsonNode? expected, JsonNode? actual) =>
        JsonNode.DeepEquals(expected, actual).ShouldBeTrue($"{expected?.ToJsonString()}\n\n{actual?.ToJsonString()}");
}
