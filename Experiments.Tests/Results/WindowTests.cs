using System.Text.Json.Nodes;

namespace Experiments.Tests.Results;

/// <summary>Identities count once their windows are over; at the end windows run on, unless they are closed.</summary>
public class WindowTests(SharedService service) : IClassFixture<SharedService>
{
    // Short enough to wait for.
    private const double Seconds = 2;

    [Fact]
    public async Task An_identity_counts_once_its_conversion_window_is_over()
    {
        var (given, experiment, open, over) = await Running(
            "occurrence",
            hours => new { @event = "purchase", conversion_window_hours = hours }
        );
        await given.ExposeAndConvert(experiment, 20);

        var results = await given.Results(experiment, total: 20);
        Metric(results, open)["windows"]!.ToJsonString().ShouldBe("""{"waiting":20,"cut_short":0}""");
        Counted(results, open).ShouldBe((0, 0));

        await Over(given, experiment, over);
        Counted(await given.Results(experiment), over).ShouldBe((20, 20));
        (
            await service.Query<long>(
                "SELECT count(*) FROM unit_metrics WHERE experiment_id = @Id AND due_after < @Ticks",
                new { experiment.Id, Ticks = TimeSpan.TicksPerHour }
            )
        ).ShouldBe(0);
    }

    [Fact]
    public async Task Retention_counts_those_who_have_started_once_their_return_is_no_longer_possible()
    {
        var (given, experiment, open, over) = await Running(
            "retention",
            hours => new
            {
                @event = "purchase",
                return_event = new { @event = "visit" },
                from_hours = 0,
                to_hours = hours,
            }
        );
        await given.ExposeAndConvert(experiment, 10);
        await given.Results(experiment, total: 10);
        // In the same second as the purchases, however slow this is.
        var at = await service.Query<long>(
            "SELECT (extract(epoch FROM min(enrolled_at)) * 1000)::bigint FROM exposures WHERE experiment_id = @Id",
            new { experiment.Id }
        );
        await given.Send([
            .. Enumerable
                .Range(0, 4)
                .Select(n =>
                    (object)
                        new
                        {
                            @event = "visit",
                            identifier = $"u{n}",
                            timestamp = at + 100,
                        }
                ),
        ]);

        var waiting = Metric(await given.Results(experiment), open);
        waiting["windows"]!["waiting"]!.GetValue<int>().ShouldBe(10);
        waiting["arms"]!.AsArray().Sum(arm => arm!["denominator_sum"]!.GetValue<double>()).ShouldBe(0);

        await Over(given, experiment, over);
        var counted = Metric(await given.Results(experiment), over);
        counted["arms"]!.AsArray().Sum(arm => arm!["denominator_sum"]!.GetValue<double>()).ShouldBe(10);
        counted["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(4);
    }

    [Fact]
    public async Task All_identities_count_at_once_where_that_is_chosen()
    {
        var (given, experiment, metric, _) = await Running(
            "occurrence",
            _ => new
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
        // Long enough for what is done in it on a slow machine.
        const double Long = 10;
        var (given, experiment, metric, _) = await Running(
            "count",
            _ => new { @event = "purchase", conversion_window_hours = Long / 3600 }
        );
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

        await Over(given, experiment, metric);
        var over = Metric(await given.Results(experiment), metric);
        over["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(20);
        over["windows"]!["cut_short"]!.GetValue<int>().ShouldBe(0);
        (
            await service.Query<double>(
                "SELECT extract(epoch FROM windows_run_on)::float8 FROM experiments WHERE id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe(Long, 0.001);
    }

    [Theory]
    [InlineData("""{"close_windows": true}""")]
    [InlineData("""{"ship": "green"}""")]
    public async Task Windows_that_are_closed_count_by_what_was_done_until_then(string body)
    {
        var (given, experiment, metric, _) = await Running("count", _ => new { @event = "purchase", conversion_window_hours = 24 });
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
        var (given, experiment, _, _) = await Running("count", _ => new { @event = "purchase", conversion_window_hours = 2000 });

        (await given.Act(experiment.Id, "complete")).Must(200);

        (
            await service.Query<double>(
                "SELECT extract(epoch FROM windows_run_on)::float8 / 86400 FROM experiments WHERE id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe(30);
    }

    // An experiment with the same metric twice: with a window of a day, and with one of two seconds.
    private async Task<(Given Given, Reply Experiment, long Open, long Over)> Running(string aggregation, Func<double, object> definition)
    {
        var given = await Given.AnEnvironment(service);
        var (open, over) = (
            await given.AMetric(aggregation, "open", definition(24)),
            await given.AMetric(aggregation, "over", definition(Seconds / 3600))
        );
        var experiment = await given.AnExperimentWith(new { metric = open.Id, role = "primary" }, new { metric = over.Id });
        return (given, await given.Start(experiment), open.Id, over.Id);
    }

    private static Task Over(Given given, Reply experiment, long metric) =>
        Given.Eventually(
            async () => Metric(await given.Results(experiment), metric)["windows"]!["waiting"]!.GetValue<int>() == 0,
            TimeSpan.FromSeconds(40)
        );

    private static (int N, double Sum) Counted(Reply results, long metric)
    {
        var arms = Metric(results, metric)["arms"]!.AsArray();
        return (arms.Sum(arm => arm!["n"]!.GetValue<int>()), arms.Sum(arm => arm!["sum"]!.GetValue<double>()));
    }

    private static JsonNode Metric(Reply results, long metric) =>
        results["metrics"].AsArray().Single(node => node!["metric"]!.GetValue<long>() == metric)!;
}
