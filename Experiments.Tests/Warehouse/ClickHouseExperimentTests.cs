using System.Text.Json;

namespace Experiments.Tests.Warehouse;

/// <summary>Experiments that are counted from ClickHouse.</summary>
public class ClickHouseExperimentTests(WarehouseService service, ClickHouseWarehouse warehouse)
    : WarehouseExperimentTests(service, warehouse),
        IClassFixture<WarehouseService>,
        IClassFixture<ClickHouseWarehouse>
{
    private readonly WarehouseService _service = service;
    private readonly ClickHouseWarehouse _warehouse = warehouse;

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData(3)]
    [InlineData(4)]
    public Task It_gives_what_the_same_events_give_when_they_are_sent(int seed) => GivesWhatTheSameEventsGive(seed);

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public Task A_wrong_column_is_named_and_what_was_read_before_stays() => AWrongColumnIsNamedAndWhatWasReadBeforeStays();

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("UInt32")]
    [InlineData("Nullable(Int64)")]
    [InlineData("String")]
    public async Task Instants_that_are_no_instants_are_told(string type)
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var table = $"at_{world.Assignments}";
        await world.Execute(
            $"CREATE TABLE {table} (user String, variant String, at {type}, experiment String, country String, plan String)"
                + " ENGINE = MergeTree ORDER BY user"
        );
        var at = DateTimeOffset.UtcNow.AddHours(-1).ToUnixTimeMilliseconds();
        await world.Execute($"INSERT INTO {table} VALUES ('u', 'control', '{(type == "UInt32" ? at / 1000 : at)}', 'the one', '', '')");
        var source = JsonSerializer.SerializeToNode(world.Source)!;
        source["assignments"]!["table"] = table;
        var experiment = await world.Given.Start(await world.AnExperiment([], source));

        (await world.Read(experiment))["warehouse"]["error"]!.GetValue<string>().ShouldContain("Illegal type");
        var tested = await world.Given.Act(experiment.Id, "source/test");
        tested.MustBe(422, "warehouse.failed")["detail"].GetValue<string>().ShouldStartWith("ClickHouse refused");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Columns_may_be_numbers_and_properties_columns_of_their_own()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        await world.Execute(
            "CREATE TABLE numbers_assigned (who UInt64, variant String, at DateTime, plan Nullable(UInt8)) ENGINE = MergeTree ORDER BY who"
        );
        await world.Execute(
            "CREATE TABLE numbers_done (who UInt64, name String, at DateTime, value Float64, `pa\"ge` String, items Array(String))"
                + " ENGINE = MergeTree ORDER BY who"
        );
        var metric = await given.AMetric(
            "sum",
            definition: new
            {
                @event = "buy",
                filters = new[]
                {
                    new
                    {
                        property = "metadata.pa\"ge",
                        @operator = "in",
                        value = new[] { "it's", "\\" },
                    },
                },
            }
        );
        var experiment = await given.Start(
            await world.AnExperiment(
                [metric],
                new
                {
                    connection = world.Connection,
                    assignments = new
                    {
                        table = "default.numbers_assigned",
                        unit = "who",
                        variant = "variant",
                        at = "at",
                        traits = new[] { "plan" },
                    },
                    events = new
                    {
                        table = "default.numbers_done",
                        unit = "who",
                        @event = "name",
                        at = "at",
                        value = "value",
                        properties = new[] { "pa\"ge", "items" },
                    },
                }
            )
        );
        await RandomWorld.MoveBack(_service, experiment);
        await world.Execute(
            "INSERT INTO numbers_assigned VALUES (1, 'control', now() - 7200, 1), (2, 'green', now() - 7200, NULL),"
                + " (3, 'green', now() - 7200, 2)"
        );
        await world.Execute(
            "INSERT INTO numbers_done VALUES (1, 'buy', now() - 3600, 12.5, 'it\\'s', ['a']), (2, 'buy', now() - 3600, 7, '\\\\', []),"
                + " (3, 'buy', now() - 3600, 100, 'other', []), (9, 'buy', now() - 3600, 100, 'it\\'s', [])"
        );

        var results = await world.Read(experiment);

        results["warehouse"]["error"].ShouldBeNull(results.Text);
        results["metrics"][0]!["arms"]!.AsArray().Select(arm => arm!["sum"]!.GetValue<double>()).ShouldBe([12.5, 7]);
        var levels = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/breakdowns/?trait=plan")).Must(200);
        levels.Text.ShouldContain("not_set");
        (await given.Act(experiment.Id, "source/test")).Must(200)["events"][0]!["rows"]!.GetValue<int>().ShouldBe(4);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_warehouse_that_is_away_is_told()
    {
        var world = await WarehouseWorld.In(_service, _warehouse);
        var given = world.Given;
        var path = world.ConnectionPath;
        (await given.Admin.Post($"{path}test/")).Must(200)["version"].GetValue<string>().ShouldStartWith("26.");
        (await given.Admin.Patch(path, new { port = 1, password = "secret" })).Must(200);

        var refused = (await given.Admin.Post($"{path}test/")).MustBe(422, "warehouse.failed");

        refused["detail"].GetValue<string>().ShouldStartWith("Could not connect to 127.0.0.1:1");
        JsonSerializer.Serialize(refused.Json).ShouldNotContain("secret");
    }
}
