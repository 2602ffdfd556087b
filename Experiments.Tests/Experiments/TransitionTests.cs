namespace Experiments.Tests.Experiments;

public class TransitionTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("created", "start", "running")]
    [InlineData("created", "pause", null)]
    [InlineData("created", "complete", null)]
    [InlineData("running", "start", null)]
    [InlineData("running", "pause", "paused")]
    [InlineData("running", "complete", "completed")]
    [InlineData("paused", "start", "running")]
    [InlineData("paused", "pause", null)]
    [InlineData("paused", "complete", "completed")]
    [InlineData("completed", "start", null)]
    [InlineData("completed", "pause", null)]
    [InlineData("completed", "complete", null)]
    public async Task Every_action_in_every_status_moves_or_is_refused(string status, string action, string? after)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);
        var audited = await given.Audit("experiment", experiment.Id);

        var reply = await given.Act(experiment.Id, action);

        if (after is null)
        {
            reply.MustBe(409, "experiment.illegal_transition");
            reply["detail"].GetValue<string>().ShouldContain(status);
            (await given.Audit("experiment", experiment.Id)).ShouldBe(audited);
        }
        else
        {
            reply.Must(200)["status"].GetValue<string>().ShouldBe(after);
            reply.ETag.ShouldNotBe(experiment.ETag);
            var word = action switch
            {
                "start" => "started",
                "pause" => "paused",
                _ => "completed",
            };
            (await given.Audit("experiment", experiment.Id)).ShouldBe([.. audited, $"experiment.{word}"]);
        }

        (await service.Query<string>("SELECT status FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(after ?? status);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/"))["status"].GetValue<string>().ShouldBe(after ?? status);
    }

    [Fact]
    public async Task The_first_start_is_remembered_and_the_feature_is_enabled_with_it()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        experiment["feature"]["enabled"]!.GetValue<bool>().ShouldBeFalse();

        var started = (await given.Act(experiment.Id, "start")).Must(200);
        var paused = (await given.Act(experiment.Id, "pause")).Must(200);
        var resumed = (await given.Act(experiment.Id, "start")).Must(200);

        started["feature"]["enabled"]!.GetValue<bool>().ShouldBeTrue();
        resumed["started_at"].GetValue<string>().ShouldBe(started["started_at"].GetValue<string>());
        paused["started_at"].GetValue<string>().ShouldBe(started["started_at"].GetValue<string>());
        resumed.Json!["ended_at"].ShouldBeNull();
        var feature = experiment["feature"]["id"]!.GetValue<long>();
        (await service.Query<bool>("SELECT enabled FROM environment_features WHERE id = @feature", new { feature })).ShouldBeTrue();
        (await given.Audit("feature", feature)).ShouldBe(["feature.created", "feature.updated"]);
    }

    [Fact]
    public async Task Pauses_are_the_gaps_between_runs()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        foreach (var action in new[] { "start", "pause", "start", "complete" })
        {
            (await given.Act(experiment.Id, action)).Must(200);
        }

        var runs = await service.QueryAll<(DateTime Start, DateTime? End)>(
            "SELECT lower(run), upper(run) FROM experiments, unnest(runs) AS run WHERE id = @Id ORDER BY run",
            new { experiment.Id }
        );
        runs.Count.ShouldBe(2);
        runs[0].End.ShouldNotBeNull().ShouldBeLessThanOrEqualTo(runs[1].Start);
        var (started, ended) = await service.Query<(DateTime, DateTime)>(
            "SELECT started_at, ended_at FROM experiments WHERE id = @Id",
            new { experiment.Id }
        );
        runs[0].Start.ShouldBe(started);
        runs[1].End.ShouldBe(ended);
    }

    [Fact]
    public async Task Of_fifty_starts_at_once_exactly_one_wins()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        var replies = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => given.Act(experiment.Id, "start")));

        replies.Count(reply => reply.Code == 200).ShouldBe(1);
        replies.Count(reply => reply.Problem == "experiment.illegal_transition").ShouldBe(49);
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.started"]);
        (await service.Query<long>("SELECT count(*) FROM experiments, unnest(runs) WHERE id = @Id", new { experiment.Id })).ShouldBe(1);
    }

    [Fact]
    public async Task Simultaneous_actions_leave_a_log_that_is_a_path_of_the_state_machine()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        var actions = Enumerable
            .Range(0, 120)
            .Select(number =>
                (number % 3) switch
                {
                    0 => "start",
                    1 => "pause",
                    _ => number == 119 ? "complete" : "start",
                }
            );

        var replies = await Task.WhenAll(actions.Select(action => given.Act(experiment.Id, action)));

        replies.ShouldAllBe(reply => reply.Code == 200 || reply.Code == 409);
        var moves = await service.QueryAll<(string? Before, string After)>(
            "SELECT before->>'status', after->>'status' FROM audit_log WHERE object_type = 'experiment' AND object_id = @Id ORDER BY id",
            new { experiment.Id }
        );
        moves.Count.ShouldBe(1 + replies.Count(reply => reply.Code == 200));
        moves.Zip(moves.Skip(1)).ShouldAllBe(pair => pair.First.After == pair.Second.Before);
        (await service.Query<string>("SELECT status FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(moves[^1].After);
    }

    [Fact]
    public async Task Starting_and_pausing_a_paused_one_at_once_leaves_one_run_open_at_most()
    {
        var given = await Given.AnEnvironment(service);
        for (var round = 0; round < 20; round++)
        {
            var experiment = await given.AnExperimentThatIs("paused");

            var replies = await Task.WhenAll(given.Act(experiment.Id, "start"), given.Act(experiment.Id, "pause"));

            replies[0].Must(200);
            replies[1].Code.ShouldBeOneOf(200, 409);
            var status = replies[1].Code == 200 ? "paused" : "running";
            (await service.Query<string>("SELECT status FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(status);
        }
    }

    [Fact]
    public async Task A_start_that_waited_for_the_switch_to_be_turned_off_turns_it_on_again()
    {
        var given = await Given.AnEnvironment(service);
        for (var round = 0; round < 20; round++)
        {
            var experiment = await given.AnExperiment();
            var feature = $"{given.Features}{experiment["feature"]["id"]}/";
            (await given.Admin.Patch(feature, new { enabled = true })).Must(200);

            await Task.WhenAll(given.Admin.Patch(feature, new { enabled = false }), given.Act(experiment.Id, "start"));

            // Whichever came last decides: the log has them in their order.
            var switchedOffLast = await service.Query<bool>(
                """
                SELECT max(id) FILTER (WHERE after->>'enabled' = 'false'
                    AND before IS NOT NULL) > max(id) FILTER (WHERE action = 'experiment.started')
                FROM audit_log WHERE environment_id = (SELECT id FROM environments WHERE key = @Key)
                  AND (object_id = @experiment AND object_type = 'experiment' OR object_id = @feature AND object_type = 'feature')
                """,
                new
                {
                    given.Key,
                    experiment = experiment.Id,
                    feature = experiment["feature"]["id"]!.GetValue<long>(),
                }
            );
            (await given.Admin.Get(feature))["enabled"].GetValue<bool>().ShouldBe(!switchedOffLast);
        }
    }

    [Fact]
    public async Task Time_runs_forward_even_when_the_clock_does_not()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await service.Execute("UPDATE experiments SET updated_at = now() + interval '1 hour' WHERE id = @Id", new { experiment.Id });

        foreach (var action in new[] { "start", "pause", "start", "complete" })
        {
            (await given.Act(experiment.Id, action)).Must(200);
        }

        (await service.Query<bool>("SELECT ended_at > started_at FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBeTrue();
    }

    [Fact]
    public async Task The_deepest_value_that_is_taken_can_be_shipped()
    {
        var given = await Given.AnEnvironment(service);
        var deep = new string('[', 60) + new string(']', 60);
        var feature = (
            await given.Admin.PostText(given.Features, $$"""{"name": "deep", "multivariate_options": [{"key": "a", "value": {{deep}}}]}""")
        )
            .Must(201)
            .Id;
        var experiment = await given.AnExperimentOn(feature);
        (await given.Act(experiment.Id, "start")).Must(200);

        (await given.Act(experiment.Id, "complete", new { ship = "b" })).MustName("ship");
        (await given.Act(experiment.Id, "complete", new { ship = "a" })).Must(200);
        (await given.Admin.Get($"{given.Features}{feature}/"))["initial_value"].ToJsonString().ShouldBe(deep);
        (await given.Act(experiment.Id, "complete", new { ship = "a" })).MustBe(409, "experiment.illegal_transition");
        (await given.Audit("feature", feature)).ShouldBe(["feature.created", "feature.updated", "feature.updated"]);
    }

    [Fact]
    public async Task A_start_takes_the_experiment_out_of_the_archive()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { archived = true })).Must(200);

        (await given.Act(experiment.Id, "start")).Must(200)["archived"].GetValue<bool>().ShouldBeFalse();
    }

    [Fact]
    public async Task Completing_keeps_the_conclusion_and_ships_the_winner_in_one_go()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");

        var completed = (
            await given.Act(
                experiment.Id,
                "complete",
                new
                {
                    conclusion = "won",
                    comment = " Two per cent. ",
                    ship = "green",
                }
            )
        ).Must(200);

        completed["conclusion"].GetValue<string>().ShouldBe("won");
        completed["conclusion_comment"].GetValue<string>().ShouldBe("Two per cent.");
        completed["shipped_variant"].GetValue<string>().ShouldBe("green");
        completed["feature"]["initial_value"]!.GetValue<string>().ShouldBe("green");
        completed["ended_at"].GetValue<string>().ShouldEndWith("Z");
        completed["variants"][0]!["value"]!.GetValue<string>().ShouldBe("blue");
        (await given.Admin.Get($"{given.Features}{completed["feature"]["id"]}/"))["initial_value"].GetValue<string>().ShouldBe("green");
        (
            await service.Query<string>(
                "SELECT after->>'shipped_variant' FROM audit_log WHERE action = 'experiment.completed' AND object_id = @Id",
                new { completed.Id }
            )
        ).ShouldBe("green");
    }

    [Theory]
    [InlineData("""{"ship": "purple"}""", "ship")]
    [InlineData("""{"ship": ""}""", "ship")]
    [InlineData("""{"conclusion": "great"}""", "conclusion")]
    [InlineData("""{"comment": 5, "verdict": "x"}""", "comment", "verdict")]
    public async Task A_conclusion_that_breaks_a_rule_completes_nothing(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");

        (await given.Admin.PostText($"{given.Experiments}{experiment.Id}/complete/", body)).MustName(fields);

        (await service.Query<string>("SELECT status FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe("running");
    }

    [Fact]
    public async Task Start_and_pause_take_no_body_but_an_empty_object()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        (await given.Act(experiment.Id, "start", new { at = "noon" })).MustName("at");
        (await given.Act(experiment.Id, "start", new { })).Must(200);
    }
}
