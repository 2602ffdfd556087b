using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Tenants;

/// <summary>One identity is exported and erased; what was computed from it is corrected.</summary>
public class IdentityTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task An_identity_is_exported_with_all_that_is_stored_of_it()
    {
        var (given, experiment) = await Running();

        var exported = (
            await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "u3" }, ("Idempotency-Key", "an-export"))
        ).Must(200);

        exported["identifier"].GetValue<string>().ShouldBe("u3");
        exported["event_count"].GetValue<int>().ShouldBe(2);
        exported["events"].AsArray().Select(e => e!["event"]!.GetValue<string>()).ShouldBe(["purchase", "$flag_exposure"]);
        var exposure = exported["exposures"].AsArray().ShouldHaveSingleItem()!;
        exposure["experiment"]!.GetValue<long>().ShouldBe(experiment.Id);
        exposure["variant"]!.GetValue<string>().ShouldBeOneOf("control", "green");
        exposure["values"]!.ToJsonString().ShouldBe("[1]");
        // A saved answer would be a copy.
        (await service.Query<long>("SELECT count(*) FROM idempotency_keys WHERE scope = @Key", new { given.Key })).ShouldBe(0);
        (await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "nobody" }))
            .Must(200)["events"]
            .AsArray()
            .ShouldBeEmpty();
        (await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "" })).MustName("identifier");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task The_command_line_exports_and_erases_as_well()
    {
        var (given, _) = await Running();

        var (code, output, error) = await CommandLine.Run(
            service.ConnectionString,
            "identities",
            "export",
            "u3",
            "--environment",
            given.Key
        );
        (code, error).ShouldBe((0, ""));
        JsonNode
            .Parse(output)!
            .ToJsonString()
            .ShouldBe(
                (await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "u3" })).Must(200).Json!.ToJsonString()
            );
        (await CommandLine.Run(service.ConnectionString, "identities", "erase", "u3", "--environment", given.Key)).ShouldBe(
            (0, "Erased 2 events, and the identity from 1 experiments.", "")
        );

        (await given.Admin.Post($"{given.Root}/identities/export/", new { identifier = "u3" }))
            .Must(200)["event_count"]
            .GetValue<int>()
            .ShouldBe(0);
        (await given.Admin.Get($"{given.Root}/audit/?object_type=identity")).Must(200)["results"][0]!["actor"]!
            .GetValue<string>()
            .ShouldBe("command line");
        (await CommandLine.Run(service.ConnectionString, "identities", "erase", "u3", "--environment", "nowhere")).ExitCode.ShouldBe(1);
    }

    [Fact]
    public async Task An_erased_identity_leaves_nothing_behind_and_results_are_as_if_it_had_never_been()
    {
        var (given, experiment) = await Running();
        var sibling = await given.Sibling();
        await sibling.Send(
            new
            {
                @event = "purchase",
                identifier = "u3",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            }
        );

        var erased = (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "u3" })).Must(200);

        erased.Text.ShouldBe("""{"events":2,"experiments":1}""");
        foreach (var table in new[] { "events", "exposures" })
        {
            (
                await service.Query<long>($"SELECT count(*) FROM {table} t WHERE t::text LIKE '%u3,%' AND {Own(table)}", Parameters())
            ).ShouldBe(0, table);
        }

        (await sibling.Admin.Post($"{sibling.Root}/identities/export/", new { identifier = "u3" }))
            .Must(200)["event_count"]
            .GetValue<int>()
            .ShouldBe(1);
        var results = await given.Results(experiment, total: 19);
        results["metrics"][0]!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()).ShouldBe(19);
        results.Json!["identities_erased"].ShouldBeNull();
        await using var source = AggregationWorker.Source(new DatabaseServer(service.ConnectionString, null), null);
        RebuildReport? report = null;
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None))
                is not null
        );
        report.ShouldBe(new(19, 0, 0));
        var audit = await service.QueryAll<string>(
            "SELECT actor || ' ' || after FROM audit_log WHERE action = 'identity.erased' AND environment_id = "
                + "(SELECT id FROM environments WHERE key = @Key)",
            new { given.Key }
        );
        audit.ShouldHaveSingleItem().ShouldBe("""api-key:1 {"events": 2, "experiments": 1}""");
        (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "u3" }))
            .Must(200)
            .Text.ShouldBe("""{"events":0,"experiments":0}""");

        string Own(string table) =>
            table == "events" ? "environment_id = (SELECT id FROM environments WHERE key = @Key)" : "experiment_id = @Id";
        object Parameters() => new { given.Key, experiment.Id };
    }

    [Fact]
    public async Task Final_results_keep_their_sums_and_say_that_somebody_was_erased()
    {
        var (given, experiment) = await Running();
        (await given.Act(experiment.Id, "complete")).Must(200);
        await service.Execute(
            """
            UPDATE experiments SET started_at = started_at - interval '3 days', ended_at = ended_at - interval '3 days',
                runs = tstzmultirange(tstzrange(started_at - interval '3 days', ended_at - interval '3 days')) WHERE id = @Id
            """,
            new { experiment.Id }
        );
        var path = $"{given.Experiments}{experiment.Id}/results/";
        JsonNode before = (await given.Admin.Get(path)).Must(200).Json!;
        before["is_final"]!.GetValue<bool>().ShouldBeTrue();

        (await given.Admin.Post($"{given.Root}/identities/erase/", new { identifier = "u3" })).Must(200);

        var after = (await given.Admin.Get(path)).Must(200);
        after["identities_erased"].GetValue<int>().ShouldBe(1);
        after["metrics"].ToJsonString().ShouldBe(before["metrics"]!.ToJsonString());
        (await service.Query<long>("SELECT count(*) FROM exposures WHERE experiment_id = @Id", new { experiment.Id })).ShouldBe(19);
    }

    private async Task<(Given Given, Reply Experiment)> Running()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await given.ExposeAndConvert(experiment, 20);
        await given.Results(experiment, total: 20);
        return (given, experiment);
    }
}
