using System.Text.Json.Nodes;

namespace Experiments.Tests.Results;

/// <summary>Identities count once their windows are over; at the end windows run on, unless they are closed.</summary>
public class WindowTests(SharedService service) : IClassFixture<SharedService>
{
    // Long enough to be seen open, short enough to wait for.
    private const double Seconds = 4;

    [Fact]
    public async Task An_identity_counts_once_its_conversion_window_is_over()
    {
        var (given, experiment, metric) = await Running(
            "occurrence",
            new { @event = "purchase", conversion_window_hours = Seconds / 3600 }
        );
        await given.ExposeAndConvert(experiment, 20);

        var open = await given.Results(experiment, total: 20);
        Metric(open, metric)["windows"]!.ToJsonString().ShouldBe("""{"waiting":20,"cut_short":0}""");
        Counted(open, metric).ShouldBe((0, 0));

        JsonNode? over = null;
        await Given.Eventually(async () =>
            (over = Metric(await given.Results(experiment), metric))["windows"]!["waiting"]!.GetValue<int>() == 0
        );
        over!["arms"]!.AsArray().Sum(arm => arm!["n"]!.GetValue<int>()).ShouldBe(20);
        over["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(20);
        (
            await service.Query<long>(
                "SELECT count(*) FROM unit_metrics WHERE experiment_id = @Id AND due_after IS NOT NULL",
                new { experiment.Id }
            )
        ).ShouldBe(0);
    }

    [Fact]
    public async Task Retention_counts_those_who_have_started_once_their_return_is_no_longer_possible()
    {
        var (given, experiment, metric) = await Running(
            "retention",
            new
            {
                @event = "purchase",
                return_event = new { @event = "visit" },
                from_hours = 0,
                to_hours = Seconds / 3600,
            }
        );
        await given.ExposeAndConvert(experiment, 10);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await given.Send([
            .. Enumerable
                .Range(0, 4)
                .Select(n =>
                    (object)
                        new
                        {
                            @event = "visit",
                            identifier = $"u{n}",
                            timestamp = at + 2,
                        }
                ),
        ]);

        var open = Metric(await given.Results(experiment, total: 10), metric);
        open["windows"]!["waiting"]!.GetValue<int>().ShouldBe(10);
        open["arms"]!.AsArray().Sum(arm => arm!["denominator_sum"]!.GetValue<double>()).ShouldBe(0);

        await Given.Eventually(async () =>
            (open = Metric(await given.Results(experiment), metric))["windows"]!["waiting"]!.GetValue<int>() == 0
        );
        open["arms"]!.AsArray().Sum(arm => arm!["denominator_sum"]!.GetValue<double>()).ShouldBe(10);
        open["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(4);
    }

    [Fact]
    public async Task All_identities_count_at_once_where_that_is_chosen()
    {
        var (given, experiment, metric) = await Running(
            "occurrence",
            new
            {
                @event = "purchase",
                conversion_window_hours = 5,
                maturity = "all",
            }
        );
        await given.ExposeAndConvert(experiment, 20);

        var results = await given.Results(experiment, total: 20);

        Counted(results, metric).ShouldBe((20, 20));
        Metric(results, metric)["windows"].ShouldBeNull();
    }

    [Fact]
    public async Task At_the_end_windows_run_on_and_what_happens_in_them_counts()
    {
        var (given, experiment, metric) = await Running("count", new { @event = "purchase", conversion_window_hours = Seconds / 3600 });
        await given.ExposeAndConvert(experiment, 10);
        await given.Results(experiment, total: 10);
        (await given.Act(experiment.Id, "complete")).Must(200);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await given.Send([
            .. Enumerable
                .Range(0, 10)
                .Select(n =>
                    (object)
                        new
                        {
                            @event = "purchase",
                            identifier = $"u{n}",
                            timestamp = at + 5,
                        }
                ),
        ]);

        (await given.Results(experiment))["is_final"].GetValue<bool>().ShouldBeFalse();

        JsonNode? over = null;
        await Given.Eventually(async () =>
            (over = Metric(await given.Results(experiment), metric))["windows"]!["waiting"]!.GetValue<int>() == 0
        );
        over!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(20);
        over["windows"]!["cut_short"]!.GetValue<int>().ShouldBe(0);
        (
            await service.Query<double>(
                "SELECT extract(epoch FROM windows_run_on)::float8 FROM experiments WHERE id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe(Seconds, 0.001);
    }

    [Theory]
    [InlineData("""{"close_windows": true}""")]
    [InlineData("""{"ship": "green"}""")]
    public async Task Windows_that_are_closed_count_by_what_was_done_until_then(string body)
    {
        var (given, experiment, metric) = await Running("count", new { @event = "purchase", conversion_window_hours = 24 });
        await given.ExposeAndConvert(experiment, 10);
        Counted(await given.Results(experiment, total: 10), metric).ShouldBe((0, 0));

        (await given.Admin.PostText($"{given.Experiments}{experiment.Id}/complete/", body)).Must(200);

        JsonNode? closed = null;
        await Given.Eventually(async () =>
            (closed = Metric(await given.Results(experiment), metric))["arms"]!.AsArray().Sum(arm => arm!["n"]!.GetValue<int>()) == 10
        );
        closed!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(10);
        closed["windows"]!.ToJsonString().ShouldBe("""{"waiting":0,"cut_short":10}""");
    }

    [Fact]
    public async Task Windows_longer_than_thirty_days_are_closed_then()
    {
        var (given, experiment, _) = await Running("count", new { @event = "purchase", conversion_window_hours = 2000 });

        (await given.Act(experiment.Id, "complete")).Must(200);

        (
            await service.Query<double>(
                "SELECT extract(epoch FROM windows_run_on)::float8 / 86400 FROM experiments WHERE id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe(30);
    }

    private async Task<(Given Given, Reply Experiment, long Metric)> Running(string aggregation, object definition)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric(aggregation, "m", definition);
        return (given, await given.Start(await given.AnExperimentWith(new { metric = metric.Id, role = "primary" })), metric.Id);
    }

    private static (int N, double Sum) Counted(Reply results, long metric)
    {
        var arms = Metric(results, metric)["arms"]!.AsArray();
        return (arms.Sum(arm => arm!["n"]!.GetValue<int>()), arms.Sum(arm => arm!["sum"]!.GetValue<double>()));
    }

    private static JsonNode Metric(Reply results, long metric) =>
        results["metrics"].AsArray().Single(node => node!["metric"]!.GetValue<long>() == metric)!;
}
