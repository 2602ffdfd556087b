namespace Experiments.Tests.Results;

/// <summary>What results come to, a line for each experiment.</summary>
public class SummaryTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task A_summary_is_what_the_results_say()
    {
        var (given, experiment) = await Given.AnEnvironment(service) is var made
            ? (made, await made.ARunningExperimentWithAMetric())
            : default;
        await given.ExposeAndConvert(experiment, 200);
        var results = await given.Results(experiment, total: 200);
        var draft = await given.AnExperiment();

        var summaries = (await given.Admin.Get($"{given.Experiments}summaries/?id={experiment.Id}&id={draft.Id}&id={experiment.Id}")).Must(
            200
        )["results"];

        var summary = summaries.AsArray().ShouldHaveSingleItem()!;
        summary["experiment"]!.GetValue<long>().ShouldBe(experiment.Id);
        summary["total"]!.GetValue<int>().ShouldBe(200);
        summary["action"]!.ToJsonString().ShouldBe(results["recommendation"]["action"]!.ToJsonString());
        summary["primary"]!["effect"]?.ToJsonString().ShouldBe(results["metrics"][0]!["treatments"]![0]!["effect"]?.ToJsonString());
        summary["primary"]!["key"]!.GetValue<string>().ShouldBe("green");
        summary["is_guardrail_harmed"]!.GetValue<bool>().ShouldBeFalse();
    }

    [Fact]
    public async Task Ids_are_checked_and_those_of_others_are_as_if_there_were_none()
    {
        var given = await Given.AnEnvironment(service);
        var other = await Given.AnEnvironment(service);
        var theirs = await other.ARunningExperimentWithAMetric();
        await other.ExposeAndConvert(theirs, 10);
        await other.Results(theirs, total: 10);

        (await given.Admin.Get($"{given.Experiments}summaries/?id={theirs.Id}")).Must(200)["results"].AsArray().ShouldBeEmpty();
        (await given.Admin.Get($"{given.Experiments}summaries/")).MustName("id");
        (await given.Admin.Get($"{given.Experiments}summaries/?id=x")).MustBe(400, "request.invalid");
        (
            await given.Admin.Get($"{given.Experiments}summaries/?{string.Join('&', Enumerable.Range(1, 101).Select(n => $"id={n}"))}")
        ).MustName("id");
    }
}
