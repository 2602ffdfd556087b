using Experiments.Api.Domain;

namespace Experiments.Tests.Results;

/// <summary>What another release has stored is read: during a rolling upgrade, and after a rollback.</summary>
public class StoredDocumentTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("payload || '{\"future\": {\"a\": [1]}}'")]
    [InlineData("payload - 'warnings' - 'progress'")]
    [InlineData("jsonb_set(payload, '{metrics,0,arms,0,future}', '1')")]
    [InlineData("payload #- '{metrics,0,arms,0,non_zero}'")]
    public async Task Stored_results_with_a_member_more_or_fewer_are_answered(string payload)
    {
        var (given, experiment) = await AnExperimentWithResults();
        await service.Execute($"UPDATE results SET payload = {payload} WHERE experiment_id = @Id", new { experiment.Id });
        await service.Execute($"UPDATE results_history SET payload = {payload} WHERE experiment_id = @Id", new { experiment.Id });

        var results = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/")).Must(200);

        results["metrics"].AsArray().Count.ShouldBe(1);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/results/history/")).Must(200);
    }

    [Theory]
    [InlineData("jsonb_set(payload, '{format}', '2')")]
    [InlineData("jsonb_set(payload, '{metrics,0,treatments,0,verdict}', '\"undecided\"')")]
    public async Task Stored_results_that_a_newer_release_means_differently_are_computed_again(string payload)
    {
        var (given, experiment) = await AnExperimentWithResults();
        var path = $"{given.Experiments}{experiment.Id}/results/";
        var before = (await given.Admin.Get(path)).Must(200)["as_of"].GetValue<string>();
        await service.Execute($"UPDATE results SET payload = {payload} WHERE experiment_id = @Id", new { experiment.Id });
        await service.Execute($"UPDATE results_history SET payload = {payload} WHERE experiment_id = @Id", new { experiment.Id });

        (await given.Admin.Get($"{path}history/")).Must(200)["points"].AsArray().ShouldBeEmpty();
        (await given.Admin.Get(path)).Must(200)["as_of"].GetValue<string>().ShouldNotBe(before);

        (await service.Query<string>("SELECT payload->>'format' FROM results WHERE experiment_id = @Id", new { experiment.Id })).ShouldBe(
            "1"
        );
    }

    [Fact]
    public async Task Stored_definitions_and_criteria_with_a_member_more_go_on_counting()
    {
        var (given, experiment) = await AnExperimentWithResults();
        await service.Execute(
            """
            UPDATE experiment_metrics SET definition = definition || '{"future": true}' WHERE experiment_id = @Id;
            UPDATE experiments SET exposure = exposure || '{"future": true}' WHERE id = @Id;
            """,
            new { experiment.Id }
        );

        await Shown(given, experiment, "another");

        await Given.Eventually(async () => (await given.Exposures(experiment))["total"].GetValue<int>() == 2);
        (await given.Exposures(experiment)).Json!["counting_held"].ShouldBeNull();
        (
            await service.Query<long>(
                "SELECT count(*) FROM counting_holds h JOIN experiments e USING (environment_id) WHERE e.id = @Id",
                new { experiment.Id }
            )
        ).ShouldBe(0);
    }

    private async Task<(Given Given, Reply Experiment)> AnExperimentWithResults()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("count");
        var experiment = await given.Start(await given.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" }));
        await Shown(given, experiment, "someone");
        await given.Results(experiment, total: 1);
        return (given, experiment);
    }

    private static async Task Shown(Given given, Reply experiment, string identity)
    {
        var variant = Assignment.Variant(await given.Salt(experiment), identity, Assignment.Cumulate([50, 50])) == 0 ? "control" : "green";
        await given.Send(
            new
            {
                @event = "$flag_exposure",
                feature_name = experiment["feature"]["name"]!.GetValue<string>(),
                identifier = identity,
                value = variant,
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );
    }
}
