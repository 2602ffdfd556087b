using System.Globalization;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Results;

/// <summary>What results say of the values themselves: clamped, without a number, or of events that never came.</summary>
public class MetricQualityTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("""{"upper": 0.9}""", 9, 1)]
    [InlineData("""{"upper": 0.9, "of": "all"}""", 0, 10)]
    [InlineData("""{"cap": 7}""", 7, 3)]
    [InlineData("""{"lower": 0.3, "upper": 0.8}""", 8, 4)]
    public async Task Values_are_clamped_among_those_that_are_not_zero(string winsorize, double highest, int changed)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric(
            "sum",
            "m",
            new
            {
                @event = "pay",
                property = "value",
                winsorize = JsonNode.Parse(winsorize),
            }
        );
        var experiment = await given.Start(await given.AnExperimentWith(new { metric = metric.Id }));
        // A hundred identities, of which ten pay 1 to 9 and, one of them, 1000.
        await given.ExposeAndConvert(experiment, 100);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await given.Send([.. Enumerable.Range(1, 10).Select(n => Pay($"u{n}", n == 10 ? 1000 : n, at))]);

        var results = (await given.Results(experiment, total: 100))["metrics"][0]!;

        results["winsorized"]!["highest"]!.GetValue<double>().ShouldBe(highest);
        results["winsorized"]!["changed"]!.GetValue<int>().ShouldBe(changed);
        var lowest = winsorize.Contains("lower", StringComparison.Ordinal) ? 3 : 0;
        results["arms"]!
            .AsArray()
            .Sum(arm => arm!["sum"]!.GetValue<double>())
            .ShouldBe(Enumerable.Range(1, 10).Sum(n => Math.Max(lowest, Math.Min(n == 10 ? 1000 : n, highest))));
    }

    [Fact]
    public async Task Events_without_a_number_and_events_that_never_came_are_told()
    {
        var given = await Given.AnEnvironment(service);
        var (paid, never) = (
            await given.AMetric("sum", "paid", new { @event = "pay", property = "value" }),
            await given.AMetric("ratio", "never", new { @event = "pay", denominator = new { @event = "refund" } })
        );
        var experiment = await given.Start(await given.AnExperimentWith(new { metric = paid.Id }, new { metric = never.Id }));
        await given.ExposeAndConvert(experiment, 10);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await given.Send(Pay("u1", 5, at), Pay("u2", null, at), Pay("u3", null, at), Pay("a stranger", null, at));

        var results = await given.Results(experiment, total: 10);

        results["metrics"][0]!["not_numbers"]!.GetValue<int>().ShouldBe(2);
        results["metrics"][0]!["missing_events"].ShouldBeNull();
        results["metrics"][1]!["missing_events"]!.ToJsonString().ShouldBe("""["refund"]""");
        results["metrics"][1]!["not_numbers"].ShouldBeNull();
    }

    private static object Pay(string identifier, double? amount, long at) =>
        new
        {
            @event = "pay",
            identifier,
            value = amount?.ToString(CultureInfo.InvariantCulture) ?? "a lot",
            timestamp = at + 1,
        };
}
