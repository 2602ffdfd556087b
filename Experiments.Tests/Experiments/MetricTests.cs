using System.Text.Json.Nodes;

namespace Experiments.Tests.Experiments;

public class MetricTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("""{"name": "m", "aggregation": "occurrence", "definition": {"event": "purchase"}}""")]
    [InlineData(
        """{"name": "m", "aggregation": "count", "definition": {"version": 1, "event": "purchase", "winsorize": {"upper": 0.99},"""
            + """ "lookback_days": 14}}"""
    )]
    [InlineData(
        """{"name": "m", "aggregation": "sum", "direction": "down", "definition": {"event": "purchase", "property":"""
            + """ "metadata.amount", "conversion_window_hours": 24}}"""
    )]
    [InlineData(
        """{"name": "m", "aggregation": "mean", "direction": "informational", "definition": {"event": "load", "filters":"""
            + """ [{"property": "metadata.page", "operator": "in", "value": ["a", "b"]}, {"property": "value", "operator": "greater","""
            + """ "value": 0}]}}"""
    )]
    [InlineData(
        """{"name": "m", "aggregation": "ratio", "definition": {"event": "click", "denominator": {"event": "view", "filters":"""
            + """ [{"property": "metadata.x", "operator": "exists"}]}}}"""
    )]
    [InlineData(
        """{"name": "m", "aggregation": "funnel", "definition": {"steps": [{"event": "view"}, {"event": "cart"}, {"event":"""
            + """ "buy"}], "window_hours": 24}}"""
    )]
    [InlineData("""{"name": "m", "aggregation": "retention", "definition": {"event": "visit", "from_hours": 24, "to_hours": 48}}""")]
    [InlineData(
        """{"name": "m", "aggregation": "retention", "definition": {"event": "signup", "return_event": {"event": "visit", "filters":"""
            + """ [{"property": "value", "operator": "not_exists"}]}, "from_hours": 24, "to_hours": 48, "maturity": "all"}}"""
    )]
    [InlineData(
        """{"name": "m", "aggregation": "retention", "definition": {"event": "visit", "starts_at": "exposure", "from_hours": 0,"""
            + """ "to_hours": 48}}"""
    )]
    [InlineData(
        """{"name": "m", "aggregation": "funnel", "definition": {"steps": [{"event": "a"}, {"event": "b"}], "order": "any","""
            + """ "exclusions": [{"event": "c"}]}}"""
    )]
    [InlineData("""{"name": "m", "aggregation": "count_distinct", "definition": {"event": "$pageview", "property": "metadata.page"}}""")]
    [InlineData("""{"name": "m", "aggregation": "max", "definition": {"event": "load", "at_least": 3, "property": "metadata.ms"}}""")]
    [InlineData("""{"name": "m", "aggregation": "sum", "definition": {"event": "purchase", "winsorize": {"cap": 500}}}""")]
    [InlineData("""{"name": "m", "aggregation": "sum", "definition": {"event": "e", "winsorize": {"upper": 0.99, "of": "all"}}}""")]
    [InlineData(
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "filters": [{"property": "metadata.page", "operator":"""
            + """ "matches", "value": "^/shop/[0-9]+$"}, {"property": "metadata.page", "operator": "not_contains", "value": "x"},"""
            + """ {"property": "value", "operator": "at_least", "value": 3}, {"property": "value", "operator": "not_in", "value": [7]}]}}"""
    )]
    public async Task Each_aggregation_can_be_defined_and_is_read_as_it_was(string body)
    {
        var given = await Given.AnEnvironment(service);

        var metric = (await given.Admin.Post(given.Metrics, body)).Must(201);

        var read = (await given.Admin.Get($"{given.Metrics}{metric.Id}/")).Must(200);
        read.Text.ShouldBe(metric.Text);
        JsonNode.DeepEquals(read["definition"], JsonNode.Parse(body)!["definition"]).ShouldBeTrue(read.Text);
        read["experiments"].AsArray().ShouldBeEmpty();
        (await given.Audit("metric", metric.Id)).ShouldBe(["metric.created"]);
    }

    [Theory]
    [InlineData("""{"aggregation": "count", "definition": {"event": "e"}}""", "name")]
    [InlineData("""{"name": "m", "definition": {"event": "e"}}""", "aggregation")]
    [InlineData("""{"name": "m", "aggregation": "median", "definition": {"event": "e"}}""", "aggregation")]
    [InlineData("""{"name": "m", "aggregation": "count", "direction": "sideways", "definition": {"event": "e"}}""", "direction")]
    [InlineData("""{"name": "m", "aggregation": "count"}""", "definition")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {}}""", "definition.event")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "  "}}""", "definition.event")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "$flag_exposure"}}""", "definition.event")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "e", "version": 2}}""", "definition.version")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "e", "colour": 2}}""", "definition.colour")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "$experiment_x"}}""", "definition.event")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "e", "maturity": "all"}}""", "definition.maturity")]
    [InlineData("""{"name": "m", "aggregation": "occurrence", "definition": {"event": "e", "at_least": 2}}""", "definition.at_least")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "e", "order": "any"}}""", "definition.order")]
    [InlineData("""{"name": "m", "aggregation": "sum", "definition": {"event": "e", "quantiles": [0.5, 1]}}""", "definition.quantiles")]
    [InlineData("""{"name": "m", "aggregation": "sum", "definition": {"event": "e", "quantiles": []}}""", "definition.quantiles")]
    [InlineData("""{"name": "m", "aggregation": "mean", "definition": {"event": "e", "quantiles": [0.5]}}""", "definition.quantiles")]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "e", "starts_at": "event"}}""", "definition.starts_at")]
    [InlineData(
        """{"name": "m", "aggregation": "sum", "definition": {"event": "e", "winsorize": {"upper": 0.9, "cap": 5}}}""",
        "definition.winsorize.cap"
    )]
    [InlineData(
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "filters": [{"property": "value", "operator": "matches","""
            + """ "value": "(a)\\1"}]}}""",
        "definition.filters[0].operator"
    )]
    [InlineData(
        """{"name": "m", "aggregation": "retention", "definition": {"event": "e", "return_event": {}, "from_hours": 1, "to_hours": 2}}""",
        "definition.return_event.event"
    )]
    [InlineData("""{"name": "m", "aggregation": "count", "definition": {"event": "e", "property": "value"}}""", "definition.property")]
    [InlineData("""{"name": "m", "aggregation": "sum", "definition": {"event": "e", "property": "traits.x"}}""", "definition.property")]
    [InlineData(
        """{"name": "m", "aggregation": "sum", "definition": {"event": "e", "filters": [{"property": "value", "operator": "like","""
            + """ "value": "x"}]}}""",
        "definition.filters[0].operator"
    )]
    [InlineData(
        """{"name": "m", "aggregation": "sum", "definition": {"event": "e", "filters": [{"property": "value", "operator":"""
            + """ "greater", "value": "x"}]}}""",
        "definition.filters[0].operator"
    )]
    [InlineData("""{"name": "m", "aggregation": "ratio", "definition": {"event": "e"}}""", "definition.denominator")]
    [InlineData(
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "denominator": {"event": "f"}}}""",
        "definition.denominator"
    )]
    [InlineData("""{"name": "m", "aggregation": "funnel", "definition": {"steps": [{"event": "e"}]}}""", "definition.steps")]
    [InlineData("""{"name": "m", "aggregation": "funnel", "definition": {"steps": [{"event": "e"}, {}]}}""", "definition.steps[1].event")]
    [InlineData(
        """{"name": "m", "aggregation": "retention", "definition": {"event": "e", "from_hours": 5, "to_hours": 5}}""",
        "definition.from_hours"
    )]
    [InlineData(
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "conversion_window_hours": 0}}""",
        "definition.conversion_window_hours"
    )]
    [InlineData(
        """{"name": "m", "aggregation": "occurrence", "definition": {"event": "e", "winsorize": {"upper": 0.9}}}""",
        "definition.winsorize"
    )]
    [InlineData(
        """{"name": "m", "aggregation": "count", "definition": {"event": "e", "winsorize": {"lower": 0.9, "upper": 0.1}}}""",
        "definition.winsorize"
    )]
    [InlineData(
        """{"name": "m", "aggregation": "retention", "definition": {"event": "e", "to_hours": 24, "lookback_days": 7}}""",
        "definition.lookback_days"
    )]
    public async Task What_is_wrong_with_a_definition_is_named(string body, string field)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Post(given.Metrics, body)).MustBe(400, "request.invalid").Fields.ShouldContain(field);

        (await given.Admin.Get(given.Metrics))["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task Metrics_are_listed_searched_changed_and_deleted()
    {
        var given = await Given.AnEnvironment(service);
        var revenue = await given.AMetric("sum", "Revenue");
        var visits = await given.AMetric("count", "Visits");

        (await given.Admin.Get($"{given.Metrics}?q=reve"))["results"].AsArray().ShouldHaveSingleItem()!["id"]!
            .GetValue<long>()
            .ShouldBe(revenue.Id);
        var renamed = (
            await given.Admin.Patch($"{given.Metrics}{visits.Id}/", new { name = "Sessions", definition = new { @event = "session" } })
        ).Must(200);
        renamed["definition"]["event"]!.GetValue<string>().ShouldBe("session");
        (await given.Admin.Patch($"{given.Metrics}{visits.Id}/", """{"definition": {"event": "session", "property": "value"}}"""))
            .MustBe(400, "request.invalid")
            .Fields.ShouldBe(["definition.property"]);
        (await given.Admin.Patch($"{given.Metrics}{visits.Id}/", new { name = "x" }, ("If-Match", visits.ETag!))).MustBe(412, "etag.stale");
        (await given.Admin.Delete($"{given.Metrics}{visits.Id}/")).Must(204);
        (await given.Admin.Get($"{given.Metrics}{visits.Id}/")).MustBe(404, "metric.not_found");
        (await given.Audit("metric", visits.Id)).ShouldBe(["metric.created", "metric.updated", "metric.deleted"]);
    }

    [Fact]
    public async Task An_experiment_is_created_with_its_metrics()
    {
        var given = await Given.AnEnvironment(service);
        var (revenue, errors) = (await given.AMetric("sum"), await given.AMetric("count", direction: "down"));

        var experiment = await given.AnExperimentWith(
            new { metric = revenue.Id, expected_direction = "increase" },
            new
            {
                metric = errors.Id,
                role = "guardrail",
                expected_direction = "not_increase",
            }
        );

        var metrics = experiment["metrics"].AsArray();
        metrics.Select(metric => metric!["role"]!.GetValue<string>()).ShouldBe(["primary", "guardrail"]);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/"))["metrics"]
            .ToJsonString()
            .ShouldBe(experiment["metrics"].ToJsonString());
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/metrics/")).Must(200)["results"].AsArray().Count.ShouldBe(2);
        (await given.Admin.Get($"{given.Metrics}{revenue.Id}/"))["experiments"][0]!["id"]!.GetValue<long>().ShouldBe(experiment.Id);
    }

    [Fact]
    public async Task Nothing_is_left_of_an_experiment_whose_metrics_are_refused()
    {
        var given = await Given.AnEnvironment(service);
        var other = await given.Sibling();
        var foreign = await other.AMetric("count");
        var mine = await given.AMetric("count");
        var feature = await given.AFeature();

        foreach (
            var (metrics, field) in new (object[], string)[]
            {
                (
                    [
                        new { metric = mine.Id, expected_direction = "increase" },
                        new { metric = foreign.Id, expected_direction = "increase" },
                    ],
                    "metrics[1].metric"
                ),
                ([new { metric = 999_999, expected_direction = "increase" }], "metrics[0].metric"),
                (
                    [new { metric = mine.Id, expected_direction = "increase" }, new { metric = mine.Id, expected_direction = "increase" }],
                    "metrics[1].metric"
                ),
                ([new { metric = mine.Id, expected_direction = "sideways" }], "metrics[0].expected_direction"),
                (
                    [
                        new
                        {
                            metric = mine.Id,
                            role = "tertiary",
                            expected_direction = "increase",
                        },
                    ],
                    "metrics[0].role"
                ),
            }
        )
        {
            (
                await given.Admin.Post(
                    given.Experiments,
                    new
                    {
                        name = "n",
                        hypothesis = "h",
                        feature = feature.Id,
                        metrics,
                    }
                )
            ).MustBe(400, "request.invalid").Fields.ShouldContain(field);
        }

        (await given.Admin.Get(given.Experiments))["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task Before_the_start_metrics_come_and_go_and_afterwards_only_secondary_ones_come()
    {
        var given = await Given.AnEnvironment(service);
        var (one, two, three) = (await given.AMetric("sum"), await given.AMetric("count"), await given.AMetric("occurrence"));
        var experiment = await given.AnExperimentWith(new { metric = one.Id, expected_direction = "increase" });
        var path = $"{given.Experiments}{experiment.Id}/metrics/";

        (
            await given.Admin.Post(
                path,
                new
                {
                    metric = two.Id,
                    role = "primary",
                    expected_direction = "increase",
                }
            )
        ).MustBe(409, "metric.primary_taken");
        (await given.Admin.Post(path, new { metric = one.Id, expected_direction = "increase" })).MustBe(409, "metric.already_attached");
        var attached = (
            await given.Admin.Post(
                path,
                new
                {
                    metric = two.Id,
                    role = "guardrail",
                    expected_direction = "not_decrease",
                }
            )
        ).Must(201);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).ETag.ShouldNotBe(experiment.ETag);
        (await given.Admin.Delete($"{path}{attached.Id}/")).Must(204);
        (await given.Admin.Delete($"{path}{attached.Id}/")).MustBe(404, "experiment_metric.not_found");

        (await given.Act(experiment.Id, "start")).Must(200);
        (
            await given.Admin.Post(
                path,
                new
                {
                    metric = two.Id,
                    role = "guardrail",
                    expected_direction = "not_decrease",
                }
            )
        ).MustBe(409, "experiment.metrics_frozen");
        (await given.Admin.Post(path, new { metric = three.Id, expected_direction = "increase" }))
            .Must(201)["added_after_start"]
            .GetValue<bool>()
            .ShouldBeTrue();
        (await given.Admin.Delete($"{path}{experiment["metrics"][0]!["id"]}/")).MustBe(409, "experiment.metrics_frozen");
        (await given.Admin.Patch($"{given.Metrics}{one.Id}/", new { name = "x", description = "y" })).Must(200);
        (await given.Admin.Patch($"{given.Metrics}{one.Id}/", new { direction = "down" })).MustBe(409, "metric.in_use");
        (await given.Admin.Patch($"{given.Metrics}{one.Id}/", new { margin = 0.2 })).MustBe(409, "metric.in_use");
        (await given.Admin.Delete($"{given.Metrics}{one.Id}/")).MustBe(409, "metric.in_use");

        (await given.Act(experiment.Id, "complete")).Must(200);
        (await given.Admin.Post(path, new { metric = two.Id, expected_direction = "increase" })).MustBe(409, "experiment.completed");
        (await given.Admin.Patch($"{given.Metrics}{one.Id}/", new { definition = new { @event = "other" } })).Must(200);
        (await given.Admin.Get(path))["results"][0]!["definition"]!["event"]!.GetValue<string>().ShouldBe("purchase");
        (await given.Audit("experiment", experiment.Id)).ShouldBe([
            "experiment.created",
            "experiment.metric_attached",
            "experiment.metric_detached",
            "experiment.started",
            "experiment.metric_attached",
            "experiment.completed",
        ]);
    }

    [Fact]
    public async Task A_metric_of_another_environment_is_not_found()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await (await given.Sibling()).AMetric("count");
        var experiment = await given.AnExperiment();

        (await given.Admin.Get($"{given.Metrics}{metric.Id}/")).MustBe(404, "metric.not_found");
        (await given.Admin.Patch($"{given.Metrics}{metric.Id}/", new { name = "x" })).MustBe(404, "metric.not_found");
        (await given.Admin.Delete($"{given.Metrics}{metric.Id}/")).MustBe(404, "metric.not_found");
        (
            await given.Admin.Post(
                $"{given.Experiments}{experiment.Id}/metrics/",
                new { metric = metric.Id, expected_direction = "increase" }
            )
        )
            .MustBe(400, "request.invalid")
            .Fields.ShouldBe(["metric"]);
    }
}
