using Experiments.Api.Analysis;
using Microsoft.Extensions.DependencyInjection;

namespace Experiments.Tests.Results;

/// <summary>A refresh is the same thing by either route.</summary>
public class RefreshTests(RefreshTests.Limited service) : IClassFixture<RefreshTests.Limited>
{
    public sealed class Limited(TestCluster cluster) : TestService(cluster)
    {
        protected override string[] Settings => ["--Results:MinimumInterval=00:01:00"];
    }

    [Theory]
    [InlineData("POST", "POST")]
    [InlineData("POST", "GET")]
    [InlineData("GET", "POST")]
    [InlineData("GET", "GET")]
    public async Task One_refresh_a_minute_is_let_in_by_whichever_route_and_audited(string first, string second)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        var path = $"{given.Experiments}{experiment.Id}/results/";
        var before = (await given.Admin.Get(path)).Must(200)["as_of"].GetValue<DateTime>();

        (await Refresh(first)).Must(first == "POST" ? 202 : 200);

        (await given.Admin.Get(path)).Must(200)["as_of"].GetValue<DateTime>().ShouldBeGreaterThan(before);
        var soon = (await Refresh(second)).MustBe(429, "results.too_soon");
        soon.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeInRange(1, 60);
        (await given.Admin.Get(path)).Must(200).Json!["refresh_requested_at"].ShouldNotBeNull();
        (await given.Admin.Get($"{given.Root}/audit/?object_type=experiment&object_id={experiment.Id}"))["results"]
            .AsArray()
            .Count(entry => entry!["action"]!.GetValue<string>() == "experiment.results_refreshed")
            .ShouldBe(1);

        Task<Reply> Refresh(string method) =>
            method == "POST" ? given.Admin.Post($"{path}refresh/") : given.Admin.Get($"{path}?refresh=true");
    }

    [Fact]
    public async Task Of_many_that_ask_at_once_one_is_let_in()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        var path = $"{given.Experiments}{experiment.Id}/results/";

        var codes = await Task.WhenAll(
            Enumerable
                .Range(0, 10)
                .Select(async n =>
                    (await (n % 2 == 0 ? given.Admin.Post($"{path}refresh/") : given.Admin.Get($"{path}?refresh=true"))).Code
                )
        );

        codes.Count(code => code == 429).ShouldBe(9);
    }

    [Fact]
    public async Task Under_a_key_it_is_done_when_it_is_answered_as_without_one()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        var path = $"{given.Experiments}{experiment.Id}/results/";

        (await given.Admin.Post($"{path}refresh/", null, ("Idempotency-Key", "a-refresh"))).Must(202);

        (
            await service.Query<bool>("SELECT payload IS NOT NULL FROM results WHERE experiment_id = @Id", new { experiment.Id })
        ).ShouldBeTrue();
        (await given.Admin.Post($"{path}refresh/", null, ("Idempotency-Key", "a-refresh")))
            .Must(202)
            .Headers.Contains("Idempotent-Replayed")
            .ShouldBeTrue();
    }

    [Fact]
    public async Task The_hourly_look_computes_what_nobody_has_asked_for()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await given.ExposeAndConvert(experiment, 60);
        await Given.Eventually(async () => (await given.Exposures(experiment))["events_not_counted"].GetValue<int>() == 0);

        await service.Services.GetRequiredService<ResultsRefreshJob>().Run(CancellationToken.None);

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/history/"))
            .Must(200)["points"]
            .AsArray()
            .ShouldHaveSingleItem()!["total"]!
            .GetValue<int>()
            .ShouldBe(60);
        (
            await service.Query<bool>("SELECT looked_at IS NOT NULL FROM results WHERE experiment_id = @Id", new { experiment.Id })
        ).ShouldBeTrue();
    }
}
