using System.Text.Json;
using System.Text.RegularExpressions;
using Experiments.Api.Analysis;
using Experiments.Api.Platform.Startup;
using Microsoft.Extensions.DependencyInjection;

namespace Experiments.Tests.Operation;

/// <summary>Metrics have the process for their scope: a service that is disposed ends those of its name in every other.</summary>
[CollectionDefinition(nameof(AloneInTheProcess), DisableParallelization = true)]
public class AloneInTheProcess;

/// <summary>What an operator sees: metrics for Prometheus, and the dashboard and the alerts that stand on them.</summary>
[Collection(nameof(AloneInTheProcess))]
public partial class MetricsTests(MetricsTests.Scraped service) : IClassFixture<MetricsTests.Scraped>
{
    public sealed class Scraped(TestCluster cluster) : TestService(cluster)
    {
        protected override string[] Settings => ["--Metrics:Prometheus=true"];
    }

    [Fact]
    public async Task Every_metric_of_the_dashboard_and_the_alerts_exists()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await given.ExposeAndConvert(experiment, 20);
        await given.SendAny(new { @event = "purchase", timestamp = 1 });
        await given.Results(experiment);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200);
        await service.Services.GetRequiredService<ResultsRefreshJob>().Look(experiment.Id, CancellationToken.None);
        (await service.As("Api-Key exp_wrong").Get(given.Experiments)).Must(401);
        // Nothing of this happened here, but it is counted in the same way.
        var instruments = service.Services.GetRequiredService<Instruments>();
        instruments.RecommendationsChanged.Add(1);
        instruments.SampleRatioAlarms.Add(1);
        instruments.UnreadableDefinitions.Add(1);

        var files = new[] { "docs/operations/grafana-dashboard.json", "docs/operations/prometheus-alerts.yaml" };
        JsonDocument.Parse(Repository.Read(files[0])).Dispose();
        var named = files.SelectMany(file => Names().Matches(Repository.Read(file))).Select(match => match.Value).Distinct().ToList();
        named.Count.ShouldBeGreaterThan(12);

        // A request is counted after it was answered, and a scrape may be a moment old.
        var (scraped, missing, until) = ("", named, DateTime.UtcNow.AddSeconds(10));
        await Given.Eventually(async () =>
        {
            scraped = (await Reader()).Text;
            missing = [.. named.Where(name => !scraped.Contains($"{name}{{", StringComparison.Ordinal))];
            return missing.Count == 0 || DateTime.UtcNow > until;
        });
        missing.ShouldBeEmpty();
        // Other services in this process are counted as well.
        Value(scraped, "experiments_events_accepted_total").ShouldBeGreaterThanOrEqualTo(40);
        Value(scraped, "experiments_requests_refused_total").ShouldBeGreaterThanOrEqualTo(1);
        scraped.ShouldContain("outcome=\"computed\"");
    }

    [Fact]
    public async Task Metrics_are_for_viewers_of_the_instance()
    {
        var given = await Given.AnEnvironment(service);
        (await service.As(null).Get("/metrics")).Must(401);
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "environment" })).Must(201)["key"];
        (await service.As($"Bearer {key}").Get("/metrics")).MustBe(403, "access.denied");
        (await Reader()).Text.ShouldContain("# TYPE");
    }

    private async Task<Reply> Reader()
    {
        var key = (await service.Admin.Post("/api/v1/api-keys/", new { name = "prometheus", scopes = new[] { "read" } })).Must(201)["key"];
        return (await service.As($"Bearer {key}").Get("/metrics")).Must(200);
    }

    private static double Value(string scraped, string name) =>
        scraped
            .Split('\n')
            .Where(line => line.StartsWith($"{name}{{", StringComparison.Ordinal))
            .Sum(line =>
                double.Parse(
                    line[(line.IndexOf('}', StringComparison.Ordinal) + 1)..].Trim().Split(' ')[0],
                    System.Globalization.CultureInfo.InvariantCulture
                )
            );

    [GeneratedRegex("(experiments|http_server)_[a-z_]+")]
    private static partial Regex Names();
}
