using System.Text.Json.Nodes;

namespace Experiments.Tests.Experiments;

/// <summary>What an experiment expects of a metric: agreed with the metric, read one by one, and corrected until it is completed.</summary>
public class ExperimentMetricTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("up", null, "secondary", "increase")]
    [InlineData("up", null, "guardrail", "not_decrease")]
    [InlineData("down", null, "primary", "decrease")]
    [InlineData("down", null, "guardrail", "not_increase")]
    [InlineData("informational", null, "secondary", "increase")]
    [InlineData("informational", "not_increase", "guardrail", "not_increase")]
    [InlineData("up", "not_decrease", "primary", "not_decrease")]
    public async Task What_is_expected_follows_from_the_metric(string direction, string? expected, string role, string found)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence", direction: direction);
        var body = new
        {
            metric = metric.Id,
            role,
            expected_direction = expected,
        };

        var created = await given.AnExperimentWith(body);
        var attached = (await given.Admin.Post($"{given.Experiments}{(await given.AnExperiment()).Id}/metrics/", body)).Must(201);

        created["metrics"][0]!["expected_direction"]!.GetValue<string>().ShouldBe(found);
        attached["expected_direction"].GetValue<string>().ShouldBe(found);
        attached["margin"].GetValue<double>().ShouldBe(0.1);
    }

    [Theory]
    [InlineData("up", "decrease")]
    [InlineData("up", "not_increase")]
    [InlineData("down", "increase")]
    [InlineData("down", "not_decrease")]
    public async Task What_contradicts_the_metric_is_refused_wherever_it_is_said(string direction, string expected)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence", direction: direction);
        var experiment = await given.AnExperimentWith(new { metric = metric.Id });
        var body = new { metric = metric.Id, expected_direction = expected };
        var feature = await given.AFeature();

        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "x",
                    hypothesis = "y",
                    feature = feature.Id,
                    metrics = new[] { body },
                }
            )
        ).MustName("metrics[0].expected_direction");
        (await given.Admin.Post($"{given.Experiments}{(await given.AnExperiment()).Id}/metrics/", body)).MustName("expected_direction");
        (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/metrics/{experiment["metrics"][0]!["id"]}/",
                new { expected_direction = expected }
            )
        ).MustName("expected_direction");

        (await service.Query<long>("SELECT count(*) FROM experiment_metrics WHERE metric_id = @Id", new { metric.Id })).ShouldBe(1);
    }

    [Theory]
    [InlineData(-0.1)]
    [InlineData(1.1)]
    public async Task A_margin_is_a_share(double margin)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence");
        var experiment = await given.AnExperimentWith(new { metric = metric.Id });

        (
            await given.Admin.Post(
                given.Metrics,
                new
                {
                    name = "m",
                    aggregation = "count",
                    margin,
                    definition = new { @event = "e" },
                }
            )
        ).MustName("margin");
        (await given.Admin.Patch($"{given.Metrics}{metric.Id}/", new { margin })).MustName("margin");
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/metrics/", new { metric = metric.Id, margin })).MustName("margin");
        (
            await given.Admin.Patch($"{given.Experiments}{experiment.Id}/metrics/{experiment["metrics"][0]!["id"]}/", new { margin })
        ).MustName("margin");
    }

    [Fact]
    public async Task The_margin_of_a_metric_is_that_of_the_experiments_it_is_attached_to()
    {
        var given = await Given.AnEnvironment(service);
        var metric = (
            await given.Admin.Post(
                given.Metrics,
                new
                {
                    name = "m",
                    aggregation = "count",
                    margin = 0.03,
                    definition = new { @event = "e" },
                }
            )
        ).Must(201);

        var experiment = await given.AnExperimentWith(new { metric = metric.Id, role = "guardrail" });
        (await given.Admin.Patch($"{given.Metrics}{metric.Id}/", """{"margin": null}""")).MustBe(409, "metric.in_use");

        metric["margin"].GetValue<double>().ShouldBe(0.03);
        experiment["metrics"][0]!["margin"]!.GetValue<double>().ShouldBe(0.03);
    }

    [Fact]
    public async Task A_metric_of_an_experiment_is_read_and_corrected_until_the_experiment_is_over()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence");
        var experiment = await given.AnExperimentWith(new { metric = metric.Id, role = "guardrail" });
        var path = $"{given.Experiments}{experiment.Id}/metrics/{experiment["metrics"][0]!["id"]}/";
        var (read, listed) = ((await given.Admin.Get(path)).Must(200).Json!.AsObject(), experiment["metrics"][0]!.DeepClone().AsObject());
        // The same instant may be written with more or fewer noughts.
        read["created_at"]!.GetValue<DateTime>().ShouldBe(listed["created_at"]!.GetValue<DateTime>());
        read.Remove("created_at");
        listed.Remove("created_at");
        JsonNode.DeepEquals(read, listed).ShouldBeTrue();

        (await given.Admin.Patch(path, new { margin = 0.2 })).Must(200)["corrected_after_start"].GetValue<bool>().ShouldBeFalse();
        await given.Start(experiment);
        (await given.Admin.Patch(path, new { metadata = new { note = "x" } }))
            .Must(200)["corrected_after_start"]
            .GetValue<bool>()
            .ShouldBeFalse();
        var corrected = (await given.Admin.Patch(path, new { expected_direction = "increase" })).Must(200);
        corrected["corrected_after_start"].GetValue<bool>().ShouldBeTrue();
        corrected["margin"].GetValue<double>().ShouldBe(0.2);
        (await given.Admin.Patch(path, new { expected_direction = "increase" })).Must(200);
        (await given.Admin.Patch(path, new { margin = 0.3 }, ("If-Match", experiment.ETag!))).MustBe(412, "etag.stale");
        (await given.Admin.Patch(path, """{"margin": null}""")).MustName("margin");
        (await given.Admin.Patch(path, """{"role": "primary"}""")).MustName("role");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/metrics/999999999/")).MustBe(404, "experiment_metric.not_found");

        (await given.Act(experiment.Id, "complete")).Must(200);
        (await given.Admin.Patch(path, new { margin = 0.3 })).MustBe(409, "experiment.completed");
        (await given.Admin.Get(path)).Must(200).Text.ShouldBe(corrected.Text);
        (await given.Audit("experiment", experiment.Id)).Count(action => action == "experiment.metric_corrected").ShouldBe(3);
    }
}
