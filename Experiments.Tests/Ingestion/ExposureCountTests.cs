using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Ingestion;

public class ExposureCountTests(TestService service) : IClassFixture<TestService>
{
    private static readonly string[] Keys = ["control", "green", "red"];

    [Fact]
    public async Task Each_identity_counts_once_in_its_own_variant()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var at = Now();
        var events = Enumerable
            .Range(0, 300)
            .SelectMany(n => Enumerable.Range(0, 3).Select(again => Exposure(experiment, $"user-{n}", own($"user-{n}"), at + again)))
            .ToArray();

        (await given.Send([.. events])).Must(202);

        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(300);
        foreach (var (place, key) in Keys.Index())
        {
            var expected = Enumerable.Range(0, 300).Count(n => own($"user-{n}") == key);
            var variant = counted["variants"][place]!;
            variant["key"]!.GetValue<string>().ShouldBe(key);
            variant["identities"]!.GetValue<int>().ShouldBe(expected);
            variant["share"]!.GetValue<double>().ShouldBe(expected / 300.0);
        }

        counted["excluded"].AsObject().ShouldAllBe(reason => reason.Value!.GetValue<int>() == 0);
        counted["sample_ratio"]["p_value"]!.GetValue<double>().ShouldBeInRange(0.0001, 1);
        counted["sample_ratio"]["is_healthy"]!.GetValue<bool>().ShouldBeTrue();
        counted["series"]["interval"]!.GetValue<string>().ShouldBe("hour");
        counted["series"]["points"]!
            .AsArray()
            .Sum(point => point!["identities"]!.AsObject().Sum(count => count.Value!.GetValue<int>()))
            .ShouldBe(300);
        counted["as_of"].GetValue<DateTime>().ShouldBeGreaterThan(DateTime.UtcNow.AddMinutes(-1));
    }

    [Fact]
    public async Task What_does_not_count_is_excluded_by_its_reason()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given, rollout: 50);
        var salt = await given.Salt(experiment);
        var enrolled = Enumerable.Range(0, 1000).Select(n => $"user-{n}").Where(identity => Assignment.Admits(salt, identity, 50)).ToList();
        var outside = Enumerable.Range(0, 1000).Select(n => $"user-{n}").First(identity => !Assignment.Admits(salt, identity, 50));
        // It ran for three hours, except for one in the middle.
        await service.Execute(
            """
            UPDATE experiments SET started_at = now() - interval '3 hours',
                runs = tstzmultirange(tstzrange(now() - interval '3 hours', now() - interval '2 hours'),
                    tstzrange(now() - interval '1 hour', NULL))
            WHERE id = @Id
            """,
            new { experiment.Id }
        );
        var at = Now() - (30 * 60 * 1000);
        var pause = at - (60 * 60 * 1000);

        (
            await given.Send(
                Exposure(experiment, enrolled[0], own(enrolled[0]), at),
                Exposure(experiment, enrolled[1], own(enrolled[1]), at),
                Exposure(experiment, enrolled[1], Another(own(enrolled[1])), at + 1),
                Exposure(experiment, enrolled[2], Another(own(enrolled[2])), at),
                Exposure(experiment, enrolled[3], "purple", at),
                Exposure(experiment, enrolled[4], null, at),
                Exposure(experiment, outside, own(outside), at),
                Exposure(experiment, enrolled[5], own(enrolled[5]), pause),
                Exposure(experiment, enrolled[6], "control", pause),
                Exposure(experiment, enrolled[7], Another(own(enrolled[7])), pause),
                Exposure(experiment, enrolled[7], own(enrolled[7]), at),
                Exposure(experiment, null, "control", at),
                Exposure(experiment, "", "control", at),
                Exposure(experiment, null, "control", at + 1),
                Exposure(experiment, null, "control", pause),
                Exposure(experiment, enrolled[8], own(enrolled[8]), Now() - (5 * 3600 * 1000))
            )
        ).Must(202);

        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(2);
        counted["excluded"]
            .ToJsonString()
            .ShouldBe(
                """{"several_variants":1,"not_its_own_variant":3,"not_enrolled":"""
                    + """1,"while_paused":2,"before_start":0,"no_identifier":3,"test_identity":0}"""
            );
    }

    [Fact]
    public async Task An_exposure_of_a_slow_clock_is_told_and_counts_once_another_comes()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        object Named(string identity, long at) =>
            new
            {
                @event = "$flag_exposure",
                feature_name = experiment["feature"]["name"]!.GetValue<string>(),
                identifier = identity,
                value = own(identity),
                timestamp = at,
                metadata = new { experiment_id = experiment.Id },
            };
        var now = Now();

        (
            await given.Send(
                Named("slow", now - 60_000),
                Named("slower", now - (2 * 3600_000)),
                Named("slow-at-first", now - 60_000),
                Named("slow-at-first", now),
                Exposure(experiment, "unnamed", own("unnamed"), now - 60_000),
                Named("of-old", now - (25 * 3600_000))
            )
        ).Must(202);

        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(1);
        counted["excluded"]["before_start"]!.GetValue<int>().ShouldBe(2);
        (
            await service.QueryAll<string>("SELECT identifier FROM exposures WHERE experiment_id = @Id ORDER BY 1", new { experiment.Id })
        ).ShouldBe(["slow", "slow-at-first", "slower"]);
    }

    [Fact]
    public async Task An_exposure_is_judged_by_the_rollout_of_its_time()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var salt = await given.Salt(experiment);
        var identity = Enumerable.Range(0, 1000).Select(n => $"user-{n}").First(identity => !Assignment.Admits(salt, identity, 10));
        var other = Enumerable.Range(1000, 1000).Select(n => $"user-{n}").First(identity => !Assignment.Admits(salt, identity, 10));
        var before = Now();
        await Task.Delay(5);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = 10 })).Must(200);
        await Task.Delay(5);

        (await given.Send(Exposure(experiment, identity, own(identity), before), Exposure(experiment, other, own(other), Now()))).Must(202);

        var counted = await given.Counted(experiment);
        counted["total"].GetValue<int>().ShouldBe(1);
        counted["excluded"]["not_enrolled"]!.GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task The_experiment_that_an_exposure_names_decides_over_its_feature()
    {
        var given = await Given.AnEnvironment(service);
        var (first, own) = await Running(given);
        var at = Now();
        await Task.Delay(5);
        (await given.Act(first.Id, "complete")).Must(200);
        var second = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "Again",
                    hypothesis = "h",
                    feature = first["feature"]["id"]!.GetValue<long>(),
                }
            )
        ).Must(201);
        await given.Start(second);
        var salt = await given.Salt(second);
        var even = Assignment.Cumulate([33.34m, 33.33m, 33.33m]);
        var identity = "user-1";

        (
            await given.Send(
                Exposure(first, identity, own(identity), at, first.Id),
                Exposure(first, identity, Keys[Assignment.Variant(salt, identity, even)], Now(), second.Id),
                Exposure(first, "of another", "control", Now(), 999_999),
                // Of the first one, but after its end.
                Exposure(first, "too late", own("too late"), Now(), first.Id)
            )
        ).Must(202);

        (await given.Counted(first))["total"].GetValue<int>().ShouldBe(1);
        (await given.Counted(second))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task An_exposure_that_names_no_experiment_that_there_could_be_counts_for_none()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var exposures = new JsonNode[] { "x", 1.5, long.MaxValue, true }.Select(
            (id, n) =>
            {
                var exposure = Exposure(experiment, $"user-{n}", own($"user-{n}"), Now());
                exposure["metadata"] = new JsonObject { ["experiment_id"] = id };
                return (object)exposure;
            }
        );
        var unnamed = Exposure(experiment, "user-null", own("user-null"), Now());
        unnamed["metadata"] = new JsonObject { ["experiment_id"] = null };

        (await given.Send([.. exposures, unnamed])).Must(202);

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task An_exposure_in_the_millisecond_of_the_start_counts_even_alone()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        await service.Execute(
            """
            UPDATE experiments SET started_at = date_trunc('second', now()) - interval '59.9995 seconds',
                runs = tstzmultirange(tstzrange(date_trunc('second', now()) - interval '59.9995 seconds', NULL)) WHERE id = @Id
            """,
            new { experiment.Id }
        );
        var started = await service.Query<DateTime>(
            "SELECT date_trunc('milliseconds', started_at) FROM experiments WHERE id = @Id",
            new { experiment.Id }
        );

        (await given.Send(Exposure(experiment, "user-1", own("user-1"), new DateTimeOffset(started).ToUnixTimeMilliseconds()))).Must(202);

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task What_comes_after_the_time_for_late_events_changes_nothing_any_more()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var at = Now();
        await Task.Delay(5);
        (await given.Act(experiment.Id, "complete")).Must(200);

        (await given.Send(Exposure(experiment, "late", own("late"), at))).Must(202);
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
        await service.Execute(
            """
            UPDATE experiments SET started_at = started_at - interval '2 days', ended_at = ended_at - interval '2 days',
                runs = tstzmultirange(tstzrange(started_at - interval '2 days', ended_at - interval '2 days')) WHERE id = @Id
            """,
            new { experiment.Id }
        );
        (await given.Send(Exposure(experiment, "too late", own("too late"), at - (2 * 24 * 3600_000)))).Must(202);
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);

        // Nor when all of it is computed anew: an event says by its batch when it came.
        await service.Execute(
            """
            UPDATE events SET at = at - interval '2 days', happened_at = happened_at - interval '2 days',
                batch = batch - ((2 * 24 * 3600 * 1000)::bigint << 20)
            WHERE identifier = 'late' AND environment_id = (SELECT environment_id FROM experiments WHERE id = @Id);
            UPDATE exposures SET seen_at = seen_at - interval '2 days', enrolled_at = enrolled_at - interval '2 days'
            WHERE experiment_id = @Id;
            """,
            new { experiment.Id }
        );
        await using var database = new DatabaseServer(service.ConnectionString, null);
        await using var source = AggregationWorker.Source(database, null);
        await Given.Eventually(async () =>
            await new RebuildFromEvents(service.Store, source, TimeSpan.FromDays(1)).Run(experiment.Id, CancellationToken.None)
                is { } report
            && report == new RebuildReport(1, 0, 0)
        );
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_value_as_deep_as_a_body_may_be_is_served_and_its_exposures_are_counted()
    {
        var given = await Given.AnEnvironment(service);
        var deep = new string('[', 62) + new string(']', 62);
        var feature = (
            await given.Admin.Post(
                given.Features,
                $$"""{"name": "deep", "initial_value": {{deep}}, "multivariate_options": [{"key": "green", "value": "x"}]}"""
            )
        ).Must(201);
        var experiment = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = feature.Id,
                }
            )
        ).Must(201);
        await given.Start(experiment);
        var salt = await given.Salt(experiment);
        var own = Assignment.Variant(salt, "user-1", Assignment.Cumulate([50, 50])) == 0 ? "control" : "green";

        (await given.Sdk.Get("/api/v1/identities/?identifier=user-1")).Must(200);
        (await given.Evaluate(feature, "user-1")).Must(200);
        (await given.Send(Exposure(experiment, "user-1", own, Now()))).Must(202);
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task Without_a_name_the_experiment_that_ran_at_the_time_has_the_exposure()
    {
        var given = await Given.AnEnvironment(service);
        var (first, own) = await Running(given);
        var at = Now();
        await Task.Delay(5);
        (await given.Act(first.Id, "complete")).Must(200);
        var second = (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "Again",
                    hypothesis = "h",
                    feature = first["feature"]["id"]!.GetValue<long>(),
                }
            )
        ).Must(201);
        await given.Start(second);

        (await given.Send(Exposure(first, "late", own("late"), at))).Must(202);

        (await given.Counted(first))["total"].GetValue<int>().ShouldBe(1);
        (await given.Counted(second))["total"].GetValue<int>().ShouldBe(0);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task In_whatever_order_events_arrive_and_however_often_the_counts_are_the_same(int seed)
    {
        var random = new Random(seed);
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given, rollout: 70);
        var salt = await given.Salt(experiment);
        await service.Execute(
            """
            UPDATE experiments SET started_at = now() - interval '10 hours',
                runs = tstzmultirange(tstzrange(now() - interval '10 hours', now() - interval '6 hours'),
                    tstzrange(now() - interval '4 hours', NULL))
            WHERE id = @Id
            """,
            new { experiment.Id }
        );
        var now = Now();
        bool Ran(long at) => (at > now - (10 * 3600_000) && at < now - (6 * 3600_000)) || at > now - (4 * 3600_000);
        var events = Enumerable
            .Range(0, 600)
            .Select(_ =>
            {
                var identity = $"user-{random.Next(120)}";
                // Not within a second of a boundary, which the model below knows less exactly than the service.
                var at = now - (random.Next(11 * 60) * 60_000) - 30_000;
                return (Identity: identity, Variant: random.Next(6) == 0 ? Another(own(identity)) : own(identity), At: at);
            })
            .ToList();

        // The model: the definition, applied to everything at once.
        var outcomes = events
            .Where(e => e.At > now - (10 * 3600_000))
            .GroupBy(e => e.Identity)
            .Select(group =>
            {
                var seen = group.Where(e => Ran(e.At)).ToList();
                var variants = seen.Select(e => e.Variant).Distinct().ToList();
                return seen.Count == 0 ? "while_paused"
                    : variants.Count > 1 ? "several_variants"
                    : variants[0] != own(group.Key) ? "not_its_own_variant"
                    : !Assignment.Admits(salt, group.Key, 70) ? "not_enrolled"
                    : own(group.Key);
            })
            .CountBy(outcome => outcome)
            .ToDictionary();

        var sent = events.Concat(events.Take(200)).ToArray();
        random.Shuffle(sent);
        await Task.WhenAll(
            sent.Chunk(37).Select(batch => given.Send([.. batch.Select(e => Exposure(experiment, e.Identity, e.Variant, e.At))]))
        );

        var counted = await given.Counted(experiment);
        foreach (var variant in counted["variants"].AsArray())
        {
            variant!["identities"]!.GetValue<int>().ShouldBe(outcomes.GetValueOrDefault(variant["key"]!.GetValue<string>()));
        }

        foreach (var (reason, count) in counted["excluded"].AsObject().Where(reason => reason.Key != "no_identifier"))
        {
            count!.GetValue<int>().ShouldBe(outcomes.GetValueOrDefault(reason), reason);
        }
    }

    [Fact]
    public async Task Before_the_start_there_is_nothing_to_count()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        var counted = await given.Exposures(experiment);

        counted["total"].GetValue<int>().ShouldBe(0);
        counted["variants"][0]!["share"].ShouldBeNull();
        counted["sample_ratio"]["p_value"].ShouldBeNull();
        counted["series"]["points"]!.AsArray().ShouldBeEmpty();
    }

    [Fact]
    public async Task A_broken_split_is_told()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var at = Now();

        // A client that loses most of those who get "red".
        var events = Enumerable
            .Range(0, 1000)
            .Where(n => own($"user-{n}") != "red" || n % 3 == 0)
            .Select(n => Exposure(experiment, $"user-{n}", own($"user-{n}"), at))
            .ToArray();
        (await given.Send([.. events])).Must(202);

        var counted = await given.Counted(experiment);
        counted["sample_ratio"]["p_value"]!.GetValue<double>().ShouldBeLessThan(0.001);
        counted["sample_ratio"]["is_healthy"]!.GetValue<bool>().ShouldBeFalse();
    }

    [Fact]
    public async Task The_exposures_of_another_environment_are_not_found_and_do_not_count()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var other = await given.Sibling();

        (await other.Admin.Get($"{other.Experiments}{experiment.Id}/exposures/")).MustBe(404, "experiment.not_found");
        (await other.Send(Exposure(experiment, "user-1", own("user-1"), Now(), experiment.Id))).Must(202);
        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(0);
    }

    private static async Task<(Reply Experiment, Func<string, string> Own)> Running(Given given, decimal rollout = 100)
    {
        var experiment = await given.AnExperiment("green", "red");
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = rollout })).Must(200);
        await given.Start(experiment);
        var salt = await given.Salt(experiment);
        var cumulative = Assignment.Cumulate([33.34m, 33.33m, 33.33m]);
        return (experiment, identity => Keys[Assignment.Variant(salt, identity, cumulative)]);
    }

    private static JsonObject Exposure(Reply experiment, string? identity, string? variant, long at, long? experimentId = null)
    {
        var exposure = new JsonObject
        {
            ["event"] = "$flag_exposure",
            ["feature_name"] = experiment["feature"]["name"]!.GetValue<string>(),
            ["identifier"] = identity,
            ["value"] = variant,
            ["timestamp"] = at,
        };
        if (experimentId is { } id)
        {
            exposure["metadata"] = new JsonObject { ["experiment_id"] = id, ["sdk_version"] = "12.4.0" };
        }

        return exposure;
    }

    private static string Another(string variant) => Keys[(Array.IndexOf(Keys, variant) + 1) % Keys.Length];

    private static long Now() => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
}
