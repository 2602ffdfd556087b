using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Results;

public class AnyOrderTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Any_order_and_any_batching_gives_what_a_full_recomputation_gives(int seed)
    {
        var random = new Random(seed);
        var given = await Given.AnEnvironment(service);
        var metrics = await RandomWorld.EveryKindOfMetric(given);
        var experiment = await given.AnExperimentWith([
            .. metrics.Select(metric => (object)new { metric = metric.Id, expected_direction = "increase" }),
        ]);
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { breakdowns = new[] { "country", "plan" } })).Must(200);
        await given.Start(experiment);
        await RandomWorld.MoveBack(service, experiment);
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var feature = experiment["feature"]["name"]!.GetValue<string>();
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        string Own(string identity) => Assignment.Variant(salt, identity, halves) == 0 ? "control" : "green";
        var events = RandomWorld.Events(random, 900, now, feature, Own);
        // Some of them turn out to be others, who are known; each is said more than once.
        var joins = Enumerable
            .Range(0, 40)
            .Select(n => new JsonObject
            {
                ["event"] = n % 3 == 0 ? "$create_alias" : "$identify",
                ["identifier"] = $"user-{n % 10}",
                ["metadata"] = new JsonObject { [n % 3 == 0 ? "alias" : "$anon_distinct_id"] = $"user-{20 + (n % 10) + (n % 2 * 10)}" },
                ["timestamp"] = now - random.NextInt64(1_000_000),
            })
            .ToArray();
        events = [.. events, .. joins];
        var sent = events.Concat(events.Take(200)).Select(e => (object)e.DeepClone()).ToArray();
        random.Shuffle(sent);

        // Now by ones, now by hundreds; some at once, some one after the other.
        for (var index = 0; index < sent.Length; )
        {
            var batches = Enumerable
                .Range(0, 1 + random.Next(4))
                .Select(_ =>
                {
                    var size = Math.Min(sent.Length - index, random.Next(3) == 0 ? 1 : 1 + random.Next(150));
                    index += size;
                    return sent[(index - size)..index];
                })
                .Where(batch => batch.Length > 0)
                .ToList();
            await Task.WhenAll(batches.Select(batch => given.Send(batch)));
        }

        Reply? incremental = null;
        await Given.Eventually(async () =>
            (incremental = await Results())["events_not_counted"].GetValue<int>() == 0
            && incremental["metrics"].AsArray().Count == metrics.Count
        );
        var aggregated = await service.QueryAll<string>(RandomWorld.Sums, new { experiment.Id });
        await using var database = new DatabaseServer(service.ConnectionString, null);
        await using var source = AggregationWorker.Source(database, null);
        RebuildReport? report = null;
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None))
                is not null
        );
        var recomputed = await service.QueryAll<string>(RandomWorld.Sums, new { experiment.Id });

        // Exactly, since what is kept is exact.
        aggregated.Count.ShouldBeGreaterThan((2 * metrics.Count) - 4);
        aggregated.ShouldBe(recomputed);
        report.ShouldBe(new(50, 0, 0));
        await Given.Eventually(async () =>
            await new RebuildFromUnits(source).Run(experiment.Id, CancellationToken.None) is { Differing: 0 }
        );
        (await service.QueryAll<string>(RandomWorld.Sums, new { experiment.Id })).ShouldBe(aggregated);

        // Whatever has been done to what is derived, the events say what it should be.
        await service.Execute(
            """
            UPDATE exposures SET seen_at = seen_at - interval '1 hour', enrolled_at = NULL
            WHERE experiment_id = @Id AND identity::text < '4';
            DELETE FROM exposures WHERE experiment_id = @Id AND identity::text > 'c';
            UPDATE unit_metrics SET numbers = array_append(numbers[2:], 7)
            WHERE experiment_id = @Id AND identity::text < '8' AND numbers <> '{}';
            DELETE FROM unit_metrics WHERE experiment_id = @Id AND identity::text > 'e';
            INSERT INTO unit_metrics (experiment_id, identity, arm, numbers, events) VALUES (@Id, gen_random_uuid(), 1, '{1,0}', '');
            UPDATE metric_sums SET y = y + 1, yy = 0, y_non_zero = 7, d_non_zero = d_non_zero + 1
            WHERE link_id IN (SELECT id FROM experiment_metrics WHERE experiment_id = @Id);
            UPDATE exposure_counts SET count = count + 1 WHERE experiment_id = @Id;
            """,
            new { experiment.Id }
        );
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None))
                is not null
        );
        report!.Exposures.ShouldBeGreaterThan(10);
        report.Units.ShouldBeGreaterThan(10);
        (await service.QueryAll<string>(RandomWorld.Sums, new { experiment.Id })).ShouldBe(aggregated);
        (await Results())["metrics"].ToJsonString().ShouldBe(incremental!["metrics"].ToJsonString());

        Task<Reply> Results() => given.Results(experiment);
    }
}
