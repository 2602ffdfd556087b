using System.Diagnostics.Metrics;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Tests.Results;

/// <summary>
/// An experiment or a metric whose definition cannot be read is skipped, says so in its results, and holds up nobody else.
/// </summary>
public class UnreadableDefinitionTests(QuietService service) : IClassFixture<QuietService>
{
    [Theory]
    [InlineData("exposure = '{\"event\": 7}'", "exposure = '{}'")]
    [InlineData("rollouts = '[{\"percentage\": \"all\"}]'", "rollouts = '[]'")]
    [InlineData("rollouts = '{}'", "rollouts = '[]'")]
    public async Task An_unreadable_experiment_is_skipped_and_rebuilt_once_it_can_be_read(string breaking, string mending)
    {
        var skipped = new List<long>();
        using var listener = Listen(skipped);
        var given = await Given.AnEnvironment(service);
        var (broken, other) = (await given.ARunningExperimentWithAMetric(), await given.ARunningExperimentWithAMetric());
        await service.Execute($"UPDATE experiments SET {breaking} WHERE id = @Id", new { broken.Id });

        await given.ExposeAndConvert(broken, 20);
        await given.ExposeAndConvert(other, 20);

        (await Results(given, other, total: 20)).Json!["last_error"].ShouldBeNull();
        var results = await Results(given, broken, total: 0);
        results["last_error"].GetValue<string>().ShouldContain($"recompute {broken.Id} --from-events");
        results["events_not_counted"].GetValue<int>().ShouldBe(0);
        results.Json!["counting_held"].ShouldBeNull();
        lock (skipped)
        {
            skipped.ShouldNotBeEmpty();
        }

        await using var source = NpgsqlDataSource.Create(service.ConnectionString);
        var rebuild = new RebuildFromEvents(service.Store, source, TimeSpan.FromDays(1));
        await Should.ThrowAsync<InvalidOperationException>(() => Rebuilt(rebuild, broken.Id));
        await service.Execute($"UPDATE experiments SET {mending} WHERE id = @Id", new { broken.Id });
        await Rebuilt(rebuild, broken.Id);

        results = await Results(given, broken, total: 20);
        results.Json!["last_error"].ShouldBeNull();
        Sum(results).ShouldBe(20);
    }

    [Theory]
    [InlineData("'{\"event\": 7}'")]
    [InlineData("'null'")]
    public async Task An_unreadable_metric_fails_alone_and_catches_up_by_itself(string definition)
    {
        var given = await Given.AnEnvironment(service);
        var (broken, other) = (await given.ARunningExperimentWithAMetric(), await given.ARunningExperimentWithAMetric());
        await given.ExposeAndConvert(broken, 10);
        await Results(given, broken, total: 10);
        await service.Execute($"UPDATE experiment_metrics SET definition = {definition} WHERE experiment_id = @Id", new { broken.Id });

        await given.ExposeAndConvert(broken, 20);
        await given.ExposeAndConvert(other, 20);

        Sum(await Results(given, other, total: 20)).ShouldBe(20);
        var results = await Results(given, broken, total: 20);
        results["metrics"][0]!["error"]!.GetValue<string>().ShouldNotBeEmpty();
        results["events_not_counted"].GetValue<int>().ShouldBe(0);
        await service.Execute(
            "UPDATE experiment_metrics SET definition = '{\"event\": \"purchase\"}' WHERE experiment_id = @Id",
            new { broken.Id }
        );
        await Given.Eventually(async () =>
            await service.Query<long>("SELECT count(*) FROM unreadable_definitions WHERE experiment_id = @Id", new { broken.Id }) == 0
        );

        results = await Results(given, broken, total: 20);
        results["metrics"][0]!.AsObject().ContainsKey("error").ShouldBeFalse();
        Sum(results).ShouldBe(20);
    }

    [Fact]
    public async Task A_metric_beside_an_unreadable_one_is_neither_lost_nor_counted_twice()
    {
        var given = await Given.AnEnvironment(service);
        var (first, second) = (await given.AMetric("occurrence", "first"), await given.AMetric("count", "second"));
        var experiment = await given.Start(
            await given.AnExperimentWith(
                new { metric = first.Id, expected_direction = "increase" },
                new { metric = second.Id, expected_direction = "increase" }
            )
        );
        await given.ExposeAndConvert(experiment, 10);
        await Results(given, experiment, total: 10);
        await Break("'{\"event\": \"purchase\", \"filters\": [null]}'");
        // Some identities are excluded meanwhile, and others come.
        await given.ExposeAndConvert(experiment, 5, toTheWrongVariant: true);
        await given.ExposeAndConvert(experiment, 20);
        await Results(given, experiment, total: 15);

        await Break("'{\"event\": \"purchase\"}'");
        await Given.Eventually(async () =>
            await service.Query<long>("SELECT count(*) FROM unreadable_definitions WHERE experiment_id = @Id", new { experiment.Id }) == 0
        );

        var results = await Results(given, experiment, total: 15);
        results["metrics"].AsArray().ShouldAllBe(metric => !metric!.AsObject().ContainsKey("error"));
        // Fifteen count. Each has bought something; the five that were there at first have done so twice.
        Sum(results).ShouldBe(15);
        Sum(results, metric: 1).ShouldBe(20);

        Task Break(string definition) =>
            service.Execute(
                $"UPDATE experiment_metrics SET definition = {definition} WHERE experiment_id = @Id AND metric_id = @First",
                new { experiment.Id, First = first.Id }
            );
    }

    [Fact]
    public async Task Whoever_turns_out_to_be_somebody_else_meanwhile_counts_once_when_it_can_be_read()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await given.ExposeAndConvert(experiment, 10);
        await Results(given, experiment, total: 10);
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var pair = Enumerable
            .Range(0, 10)
            .Select(n => $"u{n}")
            .GroupBy(identity => Assignment.Variant(salt, identity, halves))
            .First(same => same.Count() > 1)
            .Take(2)
            .ToList();
        await Define("'{\"event\": 7}'");

        await given.Send(
            new
            {
                @event = "$identify",
                identifier = pair[0],
                metadata = new Dictionary<string, string> { ["$anon_distinct_id"] = pair[1] },
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );
        await Results(given, experiment, total: 9);
        await Define("'{\"event\": \"purchase\"}'");
        await Given.Eventually(async () =>
            await service.Query<long>("SELECT count(*) FROM unreadable_definitions WHERE experiment_id = @Id", new { experiment.Id }) == 0
        );

        Sum(await Results(given, experiment, total: 9)).ShouldBe(9);
        await using var source = NpgsqlDataSource.Create(service.ConnectionString);
        var rebuild = new RebuildFromEvents(service.Store, source, TimeSpan.FromDays(1));
        await Given.Eventually(async () =>
            await rebuild.Compare(experiment.Id, CancellationToken.None) is { Exposures: 0, Units: 0, Identities: 9 }
        );

        Task Define(string definition) =>
            service.Execute($"UPDATE experiment_metrics SET definition = {definition} WHERE experiment_id = @Id", new { experiment.Id });
    }

    private static double Sum(Reply results, int metric = 0) =>
        results["metrics"][metric]!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>());

    private static async Task Rebuilt(RebuildFromEvents rebuild, long experimentId) =>
        await Given.Eventually(async () => await rebuild.Run(experimentId, CancellationToken.None) is not null);

    // Metrics of an experiment that can't be read are not backfilled, so that is not waited for.
    private static async Task<Reply> Results(Given given, Reply experiment, int total)
    {
        Reply? results = null;
        await Given.Eventually(async () =>
            (results = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/?refresh=true")).Must(200))["total"]
                .GetValue<int>() == total
            && results["events_not_counted"].GetValue<int>() == 0
        );
        return results!;
    }

    private static MeterListener Listen(List<long> skipped)
    {
        var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument is { Meter.Name: Telemetry.Meter, Name: "experiments.aggregation.unreadable_definitions" })
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<long>(
            (_, count, _, _) =>
            {
                lock (skipped)
                {
                    skipped.Add(count);
                }
            }
        );
        listener.Start();
        return listener;
    }
}
