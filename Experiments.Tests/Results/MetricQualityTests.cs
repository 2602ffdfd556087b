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
        (await given.Admin.Get($"/api/v1/environments/{given.Key}/events/names/"))
            .Must(200)["results"]
            .AsArray()
            .Where(name => name!["not_numbers"]!.GetValue<int>() > 0)
            .Select(name => name!["event"]!.GetValue<string>())
            .ShouldHaveSingleItem();
        results["metrics"][0]!["missing_events"].ShouldBeNull();
        results["metrics"][1]!["missing_events"]!.ToJsonString().ShouldBe("""["refund"]""");
        results["metrics"][1]!["not_numbers"].ShouldBeNull();
    }

    [Fact]
    public async Task Quantiles_are_those_of_all_identities_with_an_interval_by_ranks()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric(
            "sum",
            "m",
            new
            {
                @event = "pay",
                property = "value",
                quantiles = new[] { 0.5, 0.9 },
            }
        );
        var experiment = await given.Start(await given.AnExperimentWith(new { metric = metric.Id }));
        await given.ExposeAndConvert(experiment, 400);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        // A quarter pays nothing, an eighth is paid, and the others pay what their number says.
        static double Paid(int n) =>
            n % 4 == 0 ? 0
            : n % 8 == 1 ? -n - 1
            : n + 0.5;
        await given.Send([.. Enumerable.Range(0, 400).Where(n => n % 4 != 0).Select(n => Pay($"u{n}", Paid(n), at))]);
        var results = (await given.Results(experiment, total: 400))["metrics"][0]!;
        var arms = await service.QueryAll<string>(
            "SELECT counts_in || ' ' || identifier FROM exposures WHERE experiment_id = @Id",
            new { experiment.Id }
        );

        foreach (var index in new[] { 0, 1 })
        {
            var values = arms.Where(arm => arm.StartsWith($"{index} u", StringComparison.Ordinal))
                .Select(arm => Paid(int.Parse(arm[3..], CultureInfo.InvariantCulture)))
                .Order()
                .ToList();
            foreach (var (which, quantile) in new[] { 0.5, 0.9 }.Index())
            {
                var shown = results["arms"]![index]!["quantiles"]![which]!;
                var (middle, width) = (values.Count * quantile, 1.959964 * Math.Sqrt(values.Count * quantile * (1 - quantile)));
                shown["value"]!.GetValue<double>().ShouldBe(values[(int)Math.Ceiling(middle) - 1]);
                shown["ci"]![0]!.GetValue<double>().ShouldBe(values[(int)Math.Floor(middle - width) - 1]);
                shown["ci"]![1]!.GetValue<double>().ShouldBe(values[(int)Math.Ceiling(middle + width)]);
            }
        }

        var difference = results["treatments"]![0]!["quantiles"]![0]!;
        difference["difference"]!
            .GetValue<double>()
            .ShouldBe(
                results["arms"]![1]!["quantiles"]![0]!["value"]!.GetValue<double>()
                    - results["arms"]![0]!["quantiles"]![0]!["value"]!.GetValue<double>(),
                1e-9
            );
        difference["standard_error"]!.GetValue<double>().ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task The_identities_behind_a_number_are_listed_with_their_values()
    {
        var given = await Given.AnEnvironment(service);
        var (bought, paid, rate) = (
            await given.AMetric("occurrence", "bought", new { @event = "purchase", lookback_days = 1 }),
            await given.AMetric("sum", "paid", new { @event = "pay", property = "value" }),
            await given.AMetric(
                "ratio",
                "rate",
                new
                {
                    @event = "pay",
                    property = "value",
                    denominator = new { @event = "purchase" },
                }
            )
        );
        var experiment = await given.Start(
            await given.AnExperimentWith(new { metric = bought.Id }, new { metric = paid.Id }, new { metric = rate.Id })
        );
        await given.ExposeAndConvert(experiment, 10);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await given.Send(Pay("u1", 5, at), Pay("u1", 2, at + 1), Pay("u2", 7.5, at), Pay("a stranger", 9, at));
        var results = await given.Results(experiment, total: 10);
        string Path(int metric) => $"{given.Experiments}{experiment.Id}/metrics/{experiment["metrics"][metric]!["id"]}/units/";

        var units = (await given.Admin.Get(Path(1))).Must(200);

        units["count"].GetValue<int>().ShouldBe(2);
        units["results"]
            .AsArray()
            .Select(unit => (unit!["identifier"]!.GetValue<string>(), unit["value"]!.GetValue<double>()))
            .Order()
            .ShouldBe([("u1", 7), ("u2", 7.5)]);
        (await given.Admin.Get(Path(0)))["count"].GetValue<int>().ShouldBe(10);
        var ratio = (await given.Admin.Get($"{Path(2)}?page_size=3&page=2")).Must(200);
        (ratio["count"].GetValue<int>(), ratio["results"].AsArray().Count).ShouldBe((10, 3));
        ratio["results"][0]!["denominator"]!.GetValue<double>().ShouldBe(1);
        foreach (var (index, key) in new[] { "control", "green" }.Index())
        {
            var ofOne = (await given.Admin.Get($"{Path(0)}?variant={key}")).Must(200);
            ofOne["count"].GetValue<double>().ShouldBe(results["metrics"][0]!["arms"]![index]!["sum"]!.GetValue<double>());
            ofOne["results"].AsArray().ShouldAllBe(unit => unit!["variant"]!.GetValue<string>() == key);
        }

        (await given.Admin.Get($"{Path(0)}?variant=red")).MustName("variant");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/metrics/987654321/units/")).MustBe(404, "experiment_metric.not_found");
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
