namespace Experiments.Tests.Experiments;

public class CreateExperimentTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_created_experiment_is_answered_whole_stored_and_logged()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature("green", "red");

        var created = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "  Which colour  ",
                    hypothesis = "Colour matters.",
                    description = "All of checkout.",
                    type = "web",
                    feature = feature.Id,
                    rollout_percentage = 12.5,
                    variants = new[]
                    {
                        new { key = "control", weight = 20.0 },
                        new { key = "red", weight = 49.5 },
                        new { key = "green", weight = 30.5 },
                    },
                }
            )
        ).Must(201);

        created.Headers.Location!.ToString().ShouldBe($"{given.Experiments}{created.Id}/");
        created["name"].GetValue<string>().ShouldBe("Which colour");
        created["type"].GetValue<string>().ShouldBe("web");
        created["status"].GetValue<string>().ShouldBe("created");
        created["rollout_percentage"].GetValue<decimal>().ShouldBe(12.5m);
        created["feature"]["type"]!.GetValue<string>().ShouldBe("multivariate");
        created["variants"]
            .ToJsonString()
            .ShouldBe(
                """[{"key":"control","value":"blue","weight":20,"transforms":[]},"""
                    + """{"key":"green","value":"green","weight":30.5,"transforms":[]},"""
                    + """{"key":"red","value":"red","weight":49.5,"transforms":[]}]"""
            );
        created["created_at"].GetValue<string>().ShouldEndWith("Z");
        created.Json!["started_at"].ShouldBeNull();
        created.ETag.ShouldNotBeNull();

        (await given.Admin.Get(created.Headers.Location.ToString())).Must(200).Text.ShouldBe(created.Text);
        (await service.Query<string>("SELECT name FROM experiments WHERE id = @Id", new { created.Id })).ShouldBe("Which colour");
        (await given.Audit("experiment", created.Id)).ShouldBe(["experiment.created"]);
    }

    [Theory]
    [InlineData(1, "50,50")]
    [InlineData(2, "33.34,33.33,33.33")]
    [InlineData(6, "14.32,14.28,14.28,14.28,14.28,14.28,14.28")]
    [InlineData(10, "9.1,9.09,9.09,9.09,9.09,9.09,9.09,9.09,9.09,9.09,9.09")]
    public async Task Without_weights_the_split_is_even_and_sums_to_a_hundred(int options, string weights)
    {
        var given = await Given.AnEnvironment(service);

        var experiment = await given.AnExperiment([.. Enumerable.Range(1, options).Select(number => $"option-{number}")]);

        string.Join(',', Weights(experiment)).ShouldBe(weights);
        Weights(experiment).Sum().ShouldBe(100);
    }

    [Theory]
    [InlineData("""{}""", "name", "hypothesis", "feature")]
    [InlineData("""{"name": "", "hypothesis": "  ", "feature": 1}""", "name", "hypothesis")]
    [InlineData("""{"name": null, "hypothesis": null, "feature": null}""", "name", "hypothesis", "feature")]
    [InlineData("""{"name": 5, "hypothesis": true, "feature": "1"}""", "name", "hypothesis", "feature")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1.5}""", "feature")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 99999999999999999999}""", "feature")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": "x"}""", "feature")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": {"nmae": "x"}}""", "feature.nmae")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 9223372036854775807}""", "feature")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "type": "mobile"}""", "type")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "rollout_percentage": 101}""", "rollout_percentage")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "rollout_percentage": -0.01}""", "rollout_percentage")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "rollout_percentage": 1e400}""", "rollout_percentage")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "rollout_percentage": "50"}""", "rollout_percentage")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "variants": {}}""", "variants")]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "variants": [null]}""", "variants[0].key", "variants[0].weight")]
    [InlineData(
        """{"name": "n", "hypothesis": "h", "feature": 1, "variants": [{"key": "control", "weight": "x"}]}""",
        "variants[0].weight"
    )]
    [InlineData("""{"name": "n", "hypothesis": "h", "feature": 1, "variants": [{"key": "control", "share": 1}]}""", "variants[0].share")]
    [InlineData(
        """{"name": "n", "hypothesis": "h", "feature": 1, "status": "running", "created_at": "2026-01-01T00:00:00Z"}""",
        "status",
        "created_at"
    )]
    public async Task What_breaks_a_rule_is_named_and_nothing_is_written(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.PostText(given.Experiments, body)).MustName(fields);

        (await Count(given)).ShouldBe(0);
    }

    [Fact]
    public async Task Lengths_count_characters_and_not_their_halves()
    {
        var given = await Given.AnEnvironment(service);
        var feature = (await given.AFeature()).Id;
        var emoji = string.Concat(Enumerable.Repeat("🧪", 255));

        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = emoji + "🧪",
                    hypothesis = "h",
                    feature,
                }
            )
        ).MustName("name");
        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = new string('h', 10_001),
                    feature,
                }
            )
        ).MustName("hypothesis");
        var created = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = emoji,
                    hypothesis = "مرحبا \u202eشكرا",
                    feature,
                }
            )
        ).Must(201);

        created["name"].GetValue<string>().ShouldBe(emoji);
        (await service.Query<string>("SELECT hypothesis FROM experiments WHERE id = @Id", new { created.Id })).ShouldBe("مرحبا \u202eشكرا");
    }

    [Fact]
    public async Task The_feature_must_be_multivariate_and_of_this_project()
    {
        var given = await Given.AnEnvironment(service);
        var sibling = await given.Stranger();
        var plain = (await given.Admin.Post(given.Features, new { name = "plain" })).Must(201).Id;
        var foreign = (await sibling.AFeature()).Id;

        var refusedPlain = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = plain,
                }
            )
        ).MustName("feature");
        var refusedForeign = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = foreign,
                }
            )
        ).MustName("feature");
        var refusedUnknown = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = 999_999,
                }
            )
        ).MustName("feature");

        refusedForeign["errors"].ToJsonString().ShouldBe(refusedUnknown["errors"].ToJsonString());
        refusedPlain["errors"].ToJsonString().ShouldNotBe(refusedUnknown["errors"].ToJsonString());
        (await Count(given)).ShouldBe(0);
    }

    [Theory]
    [InlineData("control", "red")]
    [InlineData("control")]
    [InlineData("control", "green", "red")]
    public async Task A_split_names_each_variant_of_the_feature_once(params string[] keys)
    {
        var given = await Given.AnEnvironment(service);
        var feature = (await given.AFeature("green")).Id;
        var variants = keys.Select((key, index) => new { key, weight = index == 0 ? 100 : 0 });

        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature,
                    variants,
                }
            )
        ).MustName("variants");
    }

    [Fact]
    public async Task A_feature_has_one_experiment_at_a_time()
    {
        var given = await Given.AnEnvironment(service);
        var first = await given.AnExperiment();
        var feature = first["feature"]["id"]!.GetValue<long>();
        var another = new
        {
            name = "Another",
            hypothesis = "h",
            feature,
        };

        (await given.Admin.Post(given.Experiments, another)).MustBe(409, "experiment.already_active");
        (await given.Act(first.Id, "start")).Must(200);
        (await given.Admin.Post(given.Experiments, another)).MustBe(409, "experiment.already_active");
        (await given.Act(first.Id, "complete")).Must(200);
        var second = (await given.Admin.Post(given.Experiments, another)).Must(201);
        (await given.Admin.Delete($"{given.Experiments}{second.Id}/")).Must(204);
        (await given.Admin.Post(given.Experiments, another)).Must(201);
    }

    [Fact]
    public async Task Of_fifty_at_once_on_one_feature_exactly_one_is_created()
    {
        var given = await Given.AnEnvironment(service);
        var feature = (await given.AFeature()).Id;

        var replies = await Task.WhenAll(
            Enumerable
                .Range(0, 50)
                .Select(number =>
                    given.Admin.Post(
                        given.Experiments,
                        new
                        {
                            name = $"Experiment {number}",
                            hypothesis = "h",
                            feature,
                        }
                    )
                )
        );

        var winner = replies.Where(reply => reply.Code == 201).ShouldHaveSingleItem();
        replies.Count(reply => reply.Problem == "experiment.already_active").ShouldBe(49);
        (await Count(given)).ShouldBe(1);
        (await given.Audit("experiment", winner.Id)).ShouldBe(["experiment.created"]);
    }

    private static decimal[] Weights(Reply experiment) =>
        [.. experiment["variants"].AsArray().Select(variant => variant!["weight"]!.GetValue<decimal>())];

    private Task<long> Count(Given given) =>
        service.Query<long>(
            "SELECT count(*) FROM experiments x JOIN environments e ON e.id = x.environment_id WHERE e.key = @Key",
            new { given.Key }
        );
}
