using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Results;

/// <summary>What nobody was shown counts for no variant, whoever switched it off and however.</summary>
public class WhatWasShownTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task While_its_feature_is_switched_off_an_experiment_counts_nothing()
    {
        var (given, experiment) = await Running();
        var feature = $"{given.Features}{experiment["feature"]["id"]!.GetValue<long>()}/";
        await Shown(given, experiment, "u1", "u2");
        await Bought(given, "u1");
        await Pause();

        (await given.Admin.Patch(feature, new { enabled = false })).Must(200);
        await Pause();
        await Bought(given, "u1", "u2");
        await Shown(given, experiment, "u3");
        await Pause();
        (await given.Admin.Patch(feature, new { enabled = true })).Must(200);
        await Pause();
        await Bought(given, "u2");
        await Shown(given, experiment, "u4");

        var results = await given.Results(experiment, total: 3);
        Sum(results).ShouldBe(2);
        results["excluded"]["while_paused"]!.GetValue<int>().ShouldBe(1);
        (
            await service.Query<bool>(
                "SELECT status = 'running' AND NOT upper_inf(off) AND upper_inf(runs) FROM experiments WHERE id = @Id",
                new { experiment.Id }
            )
        ).ShouldBeTrue();

        // The same as if all was computed anew from the events.
        await using var source = AggregationWorker.Source(new DatabaseServer(service.ConnectionString, null), null);
        await Given.Eventually(async () =>
            await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None)
                is { Exposures: 0, Units: 0 }
        );
        Sum(await given.Results(experiment, total: 3)).ShouldBe(2);
    }

    [Fact]
    public async Task To_start_again_switches_the_feature_on_and_the_count_with_it()
    {
        var (given, experiment) = await Running();
        (await given.Act(experiment.Id, "pause")).Must(200);
        (await given.Admin.Patch($"{given.Features}{experiment["feature"]["id"]!.GetValue<long>()}/", new { enabled = false })).Must(200);
        (await given.Act(experiment.Id, "start")).Must(200);
        await Pause();

        await Shown(given, experiment, "u1");
        await Bought(given, "u1");

        Sum(await given.Results(experiment, total: 1)).ShouldBe(1);
    }

    [Fact]
    public async Task An_import_that_switches_it_off_counts_as_well()
    {
        var (given, experiment) = await Running();
        await Shown(given, experiment, "u1");
        await Pause();
        (
            await given.Admin.Post(
                $"{given.Features}import/",
                new
                {
                    feature_states = new[]
                    {
                        new
                        {
                            enabled = false,
                            feature_state_value = "blue",
                            feature = new
                            {
                                id = 1,
                                name = experiment["feature"]["name"]!.GetValue<string>(),
                                type = "MULTIVARIATE",
                            },
                            multivariate_feature_state_values = new[]
                            {
                                new
                                {
                                    percentage_allocation = 0,
                                    multivariate_feature_option = new
                                    {
                                        id = 1,
                                        key = "green",
                                        value = "green",
                                    },
                                },
                            },
                        },
                    },
                }
            )
        ).Must(200);
        await Pause();

        await Bought(given, "u1");

        Sum(await given.Results(experiment, total: 1)).ShouldBe(0);
    }

    [Fact]
    public async Task A_lowered_rollout_is_told_with_how_many_lost_their_variant()
    {
        var (given, experiment) = await Running();
        var salt = await given.Salt(experiment);
        string[] identities = [.. Enumerable.Range(0, 40).Select(n => $"user-{n}")];
        await Shown(given, experiment, identities);
        (await given.Results(experiment, total: 40))["warnings"].AsArray().ShouldBeEmpty();

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 10 })).Must(200);

        var warning = (await given.Results(experiment, total: 40))["warnings"].AsArray().ShouldHaveSingleItem()!;
        warning["code"]!.GetValue<string>().ShouldBe("rollout_lowered");
        warning["identities"]!.GetValue<int>().ShouldBe(identities.Count(identity => !Assignment.Admits(salt, identity, 10)));

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 100 })).Must(200);
        (await given.Results(experiment, total: 40))["warnings"].AsArray().ShouldBeEmpty();
    }

    [Fact]
    public async Task What_a_former_run_was_shown_is_not_of_a_slow_clock()
    {
        var (given, experiment) = await Running();
        var salt = await given.Salt(experiment);
        object Named(string identity) =>
            new
            {
                @event = "$flag_exposure",
                feature_name = experiment["feature"]["name"]!.GetValue<string>(),
                identifier = identity,
                metadata = new { experiment_id = experiment.Id },
                value = Assignment.Variant(salt, identity, Assignment.Cumulate([50, 50])) == 0 ? "control" : "green",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            };
        await given.Send(Named("u1"), Named("u2"));
        await given.Results(experiment, total: 2);
        (await given.Act(experiment.Id, "reset")).Must(200);
        await Pause();
        (await given.Act(experiment.Id, "start")).Must(200);

        await using var source = AggregationWorker.Source(new DatabaseServer(service.ConnectionString, null), null);
        await Given.Eventually(async () =>
            await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None)
                is { Exposures: 0, Units: 0 }
        );
        (await given.Exposures(experiment))["excluded"]["before_start"]!.GetValue<int>().ShouldBe(0);
    }

    private async Task<(Given Given, Reply Experiment)> Running()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("count");
        return (given, await given.Start(await given.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" })));
    }

    // Events know their instant to the millisecond only.
    private static Task Pause() => Task.Delay(5);

    private static async Task Shown(Given given, Reply experiment, params string[] identities)
    {
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        await given.Send([
            .. identities.Select(identity =>
                (object)
                    new
                    {
                        @event = "$flag_exposure",
                        feature_name = experiment["feature"]["name"]!.GetValue<string>(),
                        identifier = identity,
                        value = Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green",
                        timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
                    }
            ),
        ]);
    }

    private static Task<Reply> Bought(Given given, params string[] identities) =>
        given.Send([
            .. identities.Select(identity =>
                (object)
                    new
                    {
                        @event = "purchase",
                        identifier = identity,
                        timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
                    }
            ),
        ]);

    private static double Sum(Reply results) => results["metrics"][0]!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>());
}
