using Experiments.Tests.Warehouse;

namespace Experiments.Tests.Pages;

/// <summary>The pages of an experiment that is counted from a warehouse.</summary>
public class WarehousePageTests(WarehouseService service, PostgreSqlWarehouse warehouse, Browser browser)
    : IClassFixture<WarehouseService>,
        IClassFixture<PostgreSqlWarehouse>,
        IClassFixture<Browser>
{
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task It_says_when_it_was_read_and_what_to_mend()
    {
        var world = await WarehouseWorld.In(service, warehouse);
        var given = world.Given;
        var experiment = await given.Start(await world.AnExperiment([await given.AMetric("occurrence", "Purchase")], world.Source));
        await RandomWorld.MoveBack(service, experiment);
        await using var tab = await browser.Open(service, $"Api-Key {TestService.AdminKey}");
        var page = $"/app/{given.Key}/experiments/{experiment.Id}";

        await tab.Goto(page);
        await tab.Says("No assignment yet");
        await tab.Screenshot("warehouse-waiting");

        await world.Execute(
            $"""
            INSERT INTO {world.Assignments}
            SELECT 'user-' || n, CASE n % 2 WHEN 0 THEN 'control' ELSE 'green' END, now() - interval '2 hours', 'the one', 'CH', 'pro'
            FROM generate_series(1, 2000) n
            """
        );
        await world.Write([
            .. Enumerable
                .Range(1, 2000)
                .Where(n => n % 10 < 3 + (n % 2))
                .Select(n => new System.Text.Json.Nodes.JsonObject
                {
                    ["event"] = "purchase",
                    ["identifier"] = $"user-{n}",
                    ["timestamp"] = DateTimeOffset.UtcNow.AddHours(-1).ToUnixTimeMilliseconds(),
                }),
        ]);
        (await world.Read(experiment))["total"].GetValue<int>().ShouldBe(2000);
        await tab.Goto($"{page}?tab=results");
        await tab.Says("Read from the warehouse");
        await tab.Says("Purchase");
        await tab.Screenshot("warehouse-results");
        (await tab.Barriers("results")).ShouldBeEmpty();

        await world.Execute($"ALTER TABLE {world.Assignments} RENAME COLUMN variant TO arm");
        (await world.Read(experiment))["warehouse"]["error"].ShouldNotBeNull();
        await tab.Page.ReloadAsync();
        await tab.Says("The warehouse could not be read");
        await tab.Says("variant");
        await tab.Screenshot("warehouse-failed");
        (await tab.Barriers("failed")).ShouldBeEmpty();

        await tab.Goto($"{page}/setup");
        await tab.Says(world.Assignments);
        tab.Problems.ShouldBeEmpty();
    }
}
