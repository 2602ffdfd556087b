using Experiments.Api.Aggregation;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Experiments.Tests.Results;

/// <summary>What the hourly looks find is kept; readers add no look.</summary>
public class EvidenceTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task What_an_hourly_look_has_found_stands_and_what_readers_see_is_not_kept()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        var path = $"{given.Experiments}{experiment.Id}/results/";
        await ExposeAndConvert(given, experiment, 0, 400, treatmentRate: 0.8, controlRate: 0.5);
        var read = await given.Results(experiment);
        read.Json!["evidence_since"].ShouldBeNull();
        (await Evidence(experiment)).ShouldBeNull();

        await Look(experiment);

        var first = await given.Results(experiment);
        var since = first["evidence_since"].GetValue<DateTime>();
        Verdict(first).ShouldBe("winning");
        var evidence = await Evidence(experiment);
        evidence.ShouldNotBeNull();

        // The effect fades; what was significant once remains so, with the p-value that it had.
        await ExposeAndConvert(given, experiment, 400, 1600, treatmentRate: 0.5, controlRate: 0.52);
        var later = await given.Results(experiment);
        Verdict(later).ShouldBe("winning");
        PValue(later).ShouldBe(PValue(first));
        later["evidence_since"].GetValue<DateTime>().ShouldBe(since);
        (await Evidence(experiment)).ShouldBe(evidence);
        (await given.Admin.Get(path)).Must(200)["recommendation"]["action"]!.GetValue<string>().ShouldBe("ship");

        // A recomputation begins anew, and says so.
        var source = service.Services.GetRequiredService<NpgsqlDataSource>();
        await Given.Eventually(async () =>
            await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None)
                is not null
        );
        var anew = await given.Results(experiment);
        anew.Json!["evidence_since"].ShouldBeNull();
        PValue(anew).ShouldBeGreaterThan(PValue(first));
    }

    [Fact]
    public async Task Correcting_a_direction_begins_the_evidence_of_that_metric_anew()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence", direction: "informational");
        var experiment = await given.Start(
            await given.AnExperimentWith(
                new
                {
                    metric = metric.Id,
                    role = "primary",
                    expected_direction = "increase",
                }
            )
        );
        await ExposeAndConvert(given, experiment, 0, 400, treatmentRate: 0.8, controlRate: 0.5);
        await given.Results(experiment);
        await Look(experiment);
        Verdict(await given.Results(experiment)).ShouldBe("winning");

        (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/metrics/{experiment["metrics"][0]!["id"]}/",
                new { expected_direction = "decrease" }
            )
        ).Must(200);

        Verdict((await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200)).ShouldBe("losing");
        (await Evidence(experiment))!.ShouldContain("\"metrics\": {}");
    }

    [Fact]
    public async Task Significance_is_told_only_when_asked_for()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await ExposeAndConvert(given, experiment, 0, 400, treatmentRate: 0.8, controlRate: 0.5);
        var results = await given.Results(experiment);
        results.Text.ShouldNotContain("\"significance\"");

        var asked = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/?significance=true")).Must(200);

        asked["metrics"][0]!["treatments"]![0]!["significance"]!.GetValue<string>().ShouldBe("significant");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/?significance=yes")).MustName("significance");
    }

    private Task Look(Reply experiment) =>
        service.Services.GetRequiredService<ResultsRefreshJob>().Look(experiment.Id, CancellationToken.None);

    private Task<string?> Evidence(Reply experiment) =>
        service.Query<string?>("SELECT evidence::text FROM results WHERE experiment_id = @Id", new { experiment.Id });

    private static string Verdict(Reply results) => results["metrics"][0]!["treatments"]![0]!["verdict"]!.GetValue<string>();

    private static double PValue(Reply results) => results["metrics"][0]!["treatments"]![0]!["sequential"]!["p_value"]!.GetValue<double>();

    // The identities u0, u1 and so on of two equal parts, of which these shares convert, as evenly as possible.
    private static async Task ExposeAndConvert(Given given, Reply experiment, int from, int to, double treatmentRate, double controlRate)
    {
        var (salt, at) = (await given.Salt(experiment), DateTimeOffset.UtcNow.ToUnixTimeMilliseconds());
        var halves = Assignment.Cumulate([50, 50]);
        var (events, seen) = (new List<object>(), new double[2]);
        foreach (var n in Enumerable.Range(from, to - from))
        {
            var arm = Assignment.Variant(salt, $"u{n}", halves);
            events.Add(
                new
                {
                    @event = "$flag_exposure",
                    feature_name = experiment["feature"]["name"]!.GetValue<string>(),
                    identifier = $"u{n}",
                    value = arm == 0 ? "control" : "green",
                    timestamp = at,
                }
            );
            var rate = arm == 0 ? controlRate : treatmentRate;
            if (Math.Floor((seen[arm] + 1) * rate) > Math.Floor(seen[arm] * rate))
            {
                events.Add(
                    new
                    {
                        @event = "purchase",
                        identifier = $"u{n}",
                        timestamp = at + 1,
                    }
                );
            }

            seen[arm]++;
        }

        await given.Send([.. events]);
    }
}
