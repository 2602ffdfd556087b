using System.Text.Json.Nodes;

namespace Experiments.Tests.Experiments;

public class RolloutTests(SharedService service) : IClassFixture<SharedService>
{
    private static readonly object[] Split = [new { key = "green", weight = 25 }, new { key = "control", weight = 75 }];

    [Fact]
    public async Task Before_the_first_start_rollout_and_split_may_both_change()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        var changed = (await Roll(given, experiment, new { rollout_percentage = 12.5, split = Split })).Must(200);

        changed["rollout_percentage"].GetValue<decimal>().ShouldBe(12.5m);
        Weights(changed).ShouldBe(["control 75", "green 25"]);
        changed.ETag.ShouldNotBe(experiment.ETag);
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.rollout_changed"]);
        (await service.Query<string>("SELECT rollouts::text FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe("[]");
    }

    [Theory]
    [InlineData("running")]
    [InlineData("paused")]
    public async Task After_it_only_the_rollout_may_and_what_it_was_is_kept(string status)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);

        (await Roll(given, experiment, new { rollout_percentage = 40, split = Split })).MustBe(409, "experiment.split_frozen");
        (await Roll(given, experiment, new { rollout_percentage = 40 })).Must(200)["rollout_percentage"].GetValue<decimal>().ShouldBe(40);
        var last = (
            await Roll(
                given,
                experiment,
                new { rollout_percentage = 60, split = new[] { new { key = "control", weight = 50 }, new { key = "green", weight = 50 } } }
            )
        ).Must(200);

        Weights(last).ShouldBe(["control 50", "green 50"]);
        var former = JsonNode
            .Parse(await service.Query<string>("SELECT rollouts::text FROM experiments WHERE id = @Id", new { experiment.Id }))!
            .AsArray();
        former.Select(rollout => rollout!["percentage"]!.GetValue<decimal>()).ShouldBe([100, 40]);
        former[1]!["until"]!
            .GetValue<string>()
            .ShouldBe(
                last["updated_at"]
                    .GetValue<DateTime>()
                    .ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", System.Globalization.CultureInfo.InvariantCulture)
            );
    }

    [Fact]
    public async Task The_same_again_changes_and_logs_nothing()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");

        (await Roll(given, experiment, new { rollout_percentage = 100 })).Must(200).ETag.ShouldBe(experiment.ETag);

        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.started"]);
    }

    [Fact]
    public async Task After_the_end_nothing_may_change()
    {
        var given = await Given.AnEnvironment(service);

        (await Roll(given, await given.AnExperimentThatIs("completed"), new { rollout_percentage = 40 })).MustBe(
            409,
            "experiment.completed"
        );
    }

    [Theory]
    [InlineData("{}", "rollout_percentage")]
    [InlineData("""{"rollout_percentage": null}""", "rollout_percentage")]
    [InlineData("""{"rollout_percentage": 100.5}""", "rollout_percentage")]
    [InlineData("""{"rollout_percentage": -1}""", "rollout_percentage")]
    [InlineData("""{"rollout_percentage": "50"}""", "rollout_percentage")]
    [InlineData("""{"rollout_percentage": 50, "split": [{"key": "control", "weight": 100}]}""", "split")]
    [InlineData("""{"rollout_percentage": 50, "split": [{"key": "control", "weight": 50}, {"key": "red", "weight": 50}]}""", "split")]
    [InlineData("""{"rollout_percentage": 50, "split": [{"key": "control", "weight": 50}, {"key": "green", "weight": 49}]}""", "split")]
    [InlineData("""{"rollout_percentage": 50, "split": [{"key": "control", "weight": 50}, {"key": "green"}]}""", "split[1].weight")]
    [InlineData("""{"rollout_percentage": 50, "enabled": true}""", "enabled")]
    public async Task What_is_wrong_is_named_and_nothing_is_written(string body, string field)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", body))
            .MustBe(400, "request.invalid")
            .Fields.ShouldContain(field);

        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).ETag.ShouldBe(experiment.ETag);
    }

    [Fact]
    public async Task It_is_guarded_by_the_version_and_by_the_environment()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        (await Roll(given, experiment, new { rollout_percentage = 1 }, ("If-Match", "\"0-0\""))).MustBe(412, "etag.stale");
        (await Roll(await given.Sibling(), experiment, new { rollout_percentage = 1 })).MustBe(404, "experiment.not_found");
    }

    [Fact]
    public async Task A_raised_rollout_is_served_and_moves_nobody()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        (await Roll(given, experiment, new { rollout_percentage = 30 })).Must(200);
        await given.Start(experiment);
        var before = await Variants();

        (await Roll(given, experiment, new { rollout_percentage = 80 })).Must(200);
        await Given.Eventually(async () => (await Variants()).Count > before.Count, TimeSpan.FromSeconds(2));

        var after = await Variants();
        foreach (var (identity, variant) in before)
        {
            after[identity].ShouldBe(variant);
        }

        async Task<Dictionary<string, string>> Variants()
        {
            var variants = new Dictionary<string, string>();
            for (var n = 0; n < 60; n++)
            {
                if ((await given.Evaluate(experiment["feature"], $"user-{n}")).Json!["variant"] is { } variant)
                {
                    variants[$"user-{n}"] = variant.GetValue<string>();
                }
            }

            return variants;
        }
    }

    private static Task<Reply> Roll(Given given, Reply experiment, object body, params (string Name, string Value)[] headers) =>
        given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", body, headers);

    private static IEnumerable<string> Weights(Reply experiment) =>
        experiment["variants"].AsArray().Select(variant => $"{variant!["key"]} {variant["weight"]}");
}
