using System.Text.Json;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Evaluation;

public class WebExperimentTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Path = "/api/v1/web-experiments/";

    // What escaping, trimming or cleaning would spoil.
    private const string Html = "  <b onclick=\"x('&amp;')\">Sparen \u2028 😀</b><script>alert(1 < 2 && 3 > 2)</script>\r\n";

    [Fact]
    public async Task A_page_reads_what_each_variant_of_a_running_experiment_changes()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await AWebExperiment(
            given,
            new { selector = "#a > h1", text = "Save time" },
            new
            {
                selector = ".b",
                html = Html,
                css = "color: red; content: '</style>'",
            }
        );
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 80 })).Must(200);
        await given.Start(experiment);

        var web = (await given.Sdk.Get(Path)).Must(200)["experiments"].AsArray().ShouldHaveSingleItem()!;

        var feature = experiment["feature"]["name"]!.GetValue<string>();
        JsonNode
            .DeepEquals(
                web,
                JsonSerializer.SerializeToNode(
                    new
                    {
                        id = experiment.Id,
                        name = "Headline",
                        feature_name = feature,
                        rollout_percentage = 80,
                        variants = new
                        {
                            control = new { transforms = Array.Empty<object>(), rollout_percentage = 50 },
                            test = new
                            {
                                transforms = new object[]
                                {
                                    new { selector = "#a > h1", text = "Save time" },
                                    new
                                    {
                                        selector = ".b",
                                        html = Html,
                                        css = "color: red; content: '</style>'",
                                    },
                                },
                                rollout_percentage = 50,
                            },
                        },
                    }
                )
            )
            .ShouldBeTrue(web.ToJsonString());
        (
            await service.Query<string>("SELECT transforms->'test'->1->>'html' FROM experiments WHERE id = @Id", new { experiment.Id })
        ).ShouldBe(Html);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/"))["variants"][1]!["transforms"]![1]!["html"]!
            .GetValue<string>()
            .ShouldBe(Html);
        // Which of them a page shows, its flag says.
        (await given.Evaluate(experiment["feature"], "user-1")).Must(200);
    }

    [Fact]
    public async Task Only_what_is_of_the_web_and_runs_here_is_listed()
    {
        var given = await Given.AnEnvironment(service);
        var running = await AWebExperiment(given, new { selector = "h1", text = "a" });
        await AWebExperiment(given, new { selector = "h1", text = "draft" });
        await given.Start(await given.AnExperiment());
        await given.Start(running);
        (await Listed(given)).ShouldBe([running.Id]);
        (await Listed(await given.Sibling())).ShouldBeEmpty();

        (await given.Act(running.Id, "pause")).Must(200);
        await Given.Eventually(async () => (await Listed(given)).Count == 0);
        await given.Start(running);
        (await Listed(given)).ShouldBe([running.Id]);
        (await given.Admin.Patch($"{given.Features}{running["feature"]["id"]}/", new { enabled = false })).Must(200);
        await Given.Eventually(async () => (await Listed(given)).Count == 0);
        (await given.Act(running.Id, "complete")).Must(200);
        (await Listed(given)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Its_tag_says_whether_anything_has_changed()
    {
        var given = await Given.AnEnvironment(service);
        var empty = (await given.Sdk.Get(Path)).Must(200);
        empty.Text.ShouldBe("""{"experiments":[]}""");
        var experiment = await AWebExperiment(given, new { selector = "h1", text = "a" });
        await given.Start(experiment);

        var full = (await given.Sdk.Get(Path, ("If-None-Match", empty.ETag!))).Must(200);
        var known = (await given.Sdk.Get(Path, ("If-None-Match", full.ETag!), ("Origin", "https://shop.example"))).Must(304);
        known.Text.ShouldBeEmpty();
        known.ETag.ShouldBe(full.ETag);
        known.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { name = "Another name" })).Must(200);

        await Given.Eventually(async () => (await given.Sdk.Get(Path, ("If-None-Match", full.ETag!))).Code == 200);
        // A tag of another answer is none of this one.
        (await given.Sdk.Get("/api/v1/flags/", ("If-None-Match", full.ETag!))).Must(200);
    }

    [Fact]
    public async Task Any_page_may_ask_with_the_key_of_the_environment()
    {
        var given = await Given.AnEnvironment(service);

        var asked = (await given.Sdk.Get(Path, ("Origin", "https://shop.example"))).Must(200);
        asked.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
        asked.Headers.GetValues("Access-Control-Expose-Headers").ShouldContain(exposed => exposed.Contains("ETag"));
        var preflight = await service
            .As(null)
            .Send(
                HttpMethod.Options,
                Path,
                null,
                ("Origin", "https://shop.example"),
                ("Access-Control-Request-Method", "GET"),
                ("Access-Control-Request-Headers", "x-environment-key,if-none-match")
            );
        preflight.Code.ShouldBe(204);
        preflight
            .Headers.GetValues("Access-Control-Allow-Headers")
            .ShouldContain(allowed => allowed.Contains("x-environment-key") && allowed.Contains("if-none-match"));

        var missing = (await service.As(null).Get(Path, ("Origin", "https://shop.example"))).MustBe(401, "environment_key.missing");
        missing.Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
        (await service.As(null).Get(Path, ("X-Environment-Key", "nobodys"))).MustBe(403, "environment_key.unknown");
        (await service.Admin.Get(Path)).MustBe(401, "environment_key.missing");
    }

    [Theory]
    [InlineData("""{}""", "")]
    [InlineData("""[null]""", "[0].selector")]
    [InlineData("""["h1"]""", "[0]")]
    [InlineData("""[{"text": "a"}]""", "[0].selector")]
    [InlineData("""[{"selector": " ", "text": "a"}]""", "[0].selector")]
    [InlineData("""[{"selector": null, "text": "a"}]""", "[0].selector")]
    [InlineData("""[{"selector": 5, "text": "a"}]""", "[0].selector")]
    [InlineData("""[{"selector": "h1"}]""", "[0]")]
    [InlineData("""[{"selector": "h1", "text": "a"}, {"selector": "h2", "html": null}]""", "[1]")]
    [InlineData("""[{"selector": "h1", "html": 5}]""", "[0].html")]
    [InlineData("""[{"selector": "h1", "css": {"color": "red"}}]""", "[0].css")]
    [InlineData("""[{"selector": "h1", "html": "a\u0000b"}]""", "[0].html")]
    [InlineData("""[{"selector": "h1", "script": "x"}]""", "[0].script")]
    public async Task What_is_wrong_with_a_change_is_named_and_nothing_is_written(string transforms, string field)
    {
        var given = await Given.AnEnvironment(service);
        var variants = $$"""[{"key": "control", "weight": 50}, {"key": "test", "weight": 50, "transforms": {{transforms}}}]""";

        (
            await given.Admin.PostText(
                given.Experiments,
                $$$"""{"name": "n", "hypothesis": "h", "type": "web", "feature": {"name": "f", "variants": {{{variants}}}}}"""
            )
        )
            .Must(400)
            .Fields.ShouldBe([$"feature.variants[1].transforms{field}"]);
        (
            await service.Query<long>(
                "SELECT count(*) FROM environment_features f JOIN environments e ON e.id = f.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe(0);

        var experiment = await AWebExperiment(given, new { selector = "h1", text = "a" });
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", $$"""{"variants": {{variants}}}"""))
            .Must(400)
            .Fields.ShouldBe([$"variants[1].transforms{field}"]);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Text.ShouldBe(experiment.Text);
    }

    [Fact]
    public async Task What_a_change_may_hold_is_limited()
    {
        var given = await Given.AnEnvironment(service);
        var (full, over) = (new string('x', 50_000), new string('x', 50_001));

        await AWebExperiment(
            given,
            new
            {
                selector = new string('s', 1000),
                text = full,
                html = full,
                css = full,
            }
        );
        foreach (
            var (transforms, field) in new (object[], string)[]
            {
                ([new { selector = new string('s', 1001), text = "a" }], "[0].selector"),
                ([new { selector = "h1", text = over }], "[0].text"),
                ([new { selector = "h1", html = over }], "[0].html"),
                ([new { selector = "h1", css = over }], "[0].css"),
                ([.. Enumerable.Repeat(new { selector = "h1", css = "" }, 101)], ""),
            }
        )
        {
            (await Web(given, transforms)).MustName($"feature.variants[1].transforms{field}");
        }

        (await given.Admin.Get(given.Experiments))["count"].GetValue<int>().ShouldBe(1);
        await AWebExperiment(given, [.. Enumerable.Repeat(new { selector = "h1", css = "" }, 100)]);
    }

    [Fact]
    public async Task Lengths_count_characters_and_not_their_halves()
    {
        var given = await Given.AnEnvironment(service);

        await AWebExperiment(given, new { selector = "h1", text = string.Concat(Enumerable.Repeat("😀", 50_000)) });
    }

    [Fact]
    public async Task Only_an_experiment_of_the_web_changes_pages()
    {
        var given = await Given.AnEnvironment(service);
        var feature = (await given.AFeature()).Id;
        object Body(string type) =>
            new
            {
                name = "n",
                hypothesis = "h",
                type,
                feature,
                variants = new object[]
                {
                    new { key = "control", weight = 50 },
                    new
                    {
                        key = "green",
                        weight = 50,
                        transforms = new[] { new { selector = "h1", text = "a" } },
                    },
                },
            };

        (await given.Admin.Post(given.Experiments, Body("product"))).MustName("variants[1].transforms");
        (await service.Query<long>("SELECT count(*) FROM experiments WHERE feature_id = @feature", new { feature })).ShouldBe(0);
        var web = (await given.Admin.Post(given.Experiments, Body("web"))).Must(201);
        JsonNode.DeepEquals(web["variants"][1]!["transforms"], JsonNode.Parse("""[{"selector":"h1","text":"a"}]""")).ShouldBeTrue(web.Text);
        web["variants"][0]!["transforms"]!.ToJsonString().ShouldBe("[]");

        var product = await given.AnExperiment();
        product["variants"][0]!.AsObject().ContainsKey("transforms").ShouldBeFalse();
        (
            await given.Admin.Patch(
                $"{given.Experiments}{product.Id}/",
                """{"name": "x", "variants": [{"key": "control", "weight": 50}, {"key": "green", "weight": 50, "transforms":"""
                    + """ [{"selector": "h1", "text": "a"}]}]}"""
            )
        )
            .Must(400)
            .Fields.ShouldHaveSingleItem()
            .ShouldStartWith("variants");
        (await given.Admin.Get($"{given.Experiments}{product.Id}/")).Text.ShouldBe(product.Text);
    }

    [Fact]
    public async Task Before_the_start_changes_may_change_and_afterwards_they_are_fixed()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await AWebExperiment(given, new { selector = "h1", text = "a" });
        var path = $"{given.Experiments}{experiment.Id}/";
        static string Body(string text) =>
            $$"""{"variants": [{"key": "control", "weight": 50}, {"key": "test", "weight": 50, "transforms": [{"selector": "h2","""
            + $$""" "html": "{{text}}"}]}]}""";

        var patched = (await given.Admin.Patch(path, Body("b"))).Must(200);
        JsonNode
            .DeepEquals(patched["variants"][1]!["transforms"], JsonNode.Parse("""[{"selector":"h2","html":"b"}]"""))
            .ShouldBeTrue(patched.Text);
        patched.ETag.ShouldNotBe(experiment.ETag);
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.updated"]);
        await given.Start(experiment);

        (await given.Admin.Patch(path, Body("c"))).MustBe(409, "experiment.settings_frozen");
        (await given.Admin.Patch(path, Body("b"))).Must(200);
        (
            await service.Query<string>("SELECT transforms #>> '{test,0,html}' FROM experiments WHERE id = @Id", new { experiment.Id })
        ).ShouldBe("b");
    }

    [Fact]
    public async Task A_change_of_the_weights_alone_takes_nothing_from_the_pages()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await AWebExperiment(given, new { selector = "h1", text = "a" });

        // As its value, which a variant keeps when none is given.
        var patched = (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/",
                """{"variants": [{"key": "control", "weight": 40}, {"key": "test", "weight": 60}]}"""
            )
        ).Must(200);

        JsonNode
            .DeepEquals(patched["variants"][1]!["transforms"], JsonNode.Parse("""[{"selector":"h1","text":"a"}]"""))
            .ShouldBeTrue(patched.Text);
    }

    private static Task<Reply> Web(Given given, params object[] transforms) =>
        given.Admin.Post(
            given.Experiments,
            new
            {
                name = "Headline",
                hypothesis = "h",
                type = "web",
                feature = new
                {
                    name = $"headline-{Guid.NewGuid():N}",
                    variants = new object[]
                    {
                        new { key = "control", weight = 50 },
                        new
                        {
                            key = "test",
                            weight = 50,
                            transforms,
                        },
                    },
                },
            }
        );

    private static async Task<Reply> AWebExperiment(Given given, params object[] transforms) => (await Web(given, transforms)).Must(201);

    private static async Task<IReadOnlyList<long>> Listed(Given given) =>
        [.. (await given.Sdk.Get(Path)).Must(200)["experiments"].AsArray().Select(experiment => experiment!["id"]!.GetValue<long>())];
}
