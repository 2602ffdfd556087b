using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Operation;

public class KilledServiceTests(SharedService service) : IClassFixture<SharedService>
{
    private const int Batches = 60;
    private const int Size = 100;

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_service_that_is_killed_while_events_come_in_loses_none_that_it_acknowledged_and_counts_none_twice()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await given.Start(experiment);
        var salt = await given.Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var bodies = Enumerable
            .Range(0, Batches)
            .Select(batch =>
                new JsonObject
                {
                    ["events"] = new JsonArray([
                        .. Enumerable
                            .Range(batch * Size, Size)
                            .Select(n => new JsonObject
                            {
                                ["event"] = "$flag_exposure",
                                ["feature_name"] = experiment["feature"]["name"]!.GetValue<string>(),
                                ["identifier"] = $"user-{n}",
                                ["value"] = Assignment.Variant(salt, $"user-{n}", halves) == 0 ? "control" : "green",
                                ["timestamp"] = at,
                            }),
                    ]),
                }.ToJsonString()
            )
            .ToArray();
        var acknowledged = new HashSet<int>();

        // Three lives of one replica, two of which end in the middle of it.
        for (var life = 0; life < 3; life++)
        {
            await using var replica = await Replica.Start(service.ConnectionString);
            var client = new Client(replica.Address, null).With("X-Environment-Key", given.Key);
            var killAfter = life < 2 ? (life + 1) * Batches / 4 : int.MaxValue;
            var done = 0;
            await Parallel.ForEachAsync(
                Enumerable.Range(0, Batches),
                new ParallelOptions { MaxDegreeOfParallelism = 4 },
                async (batch, _) =>
                {
                    try
                    {
                        // In its last life everything is sent again, acknowledged before or not.
                        var reply = await client.PostText("/v1/events", bodies[batch]);
                        if (reply.Code == 202)
                        {
                            lock (acknowledged)
                            {
                                acknowledged.Add(batch);
                            }
                        }
                    }
                    catch (HttpRequestException)
                    {
                        // It is dead, and what this one came to is not known.
                    }

                    if (Interlocked.Increment(ref done) == killAfter)
                    {
                        replica.Kill();
                    }
                }
            );

            if (life < 2)
            {
                acknowledged.Count.ShouldBeGreaterThan(0);
                foreach (var batch in acknowledged)
                {
                    (await Stored(given, batch)).ShouldBe(Size);
                }
            }
        }

        acknowledged.Count.ShouldBe(Batches);
        (
            await service.Query<long>(
                "SELECT count(*) FROM events v JOIN environments e ON e.id = v.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe(Batches * Size);
        Reply? counted = null;
        await Given.Eventually(async () => (counted = await given.Exposures(experiment))["events_not_counted"].GetValue<int>() == 0);
        counted!["total"].GetValue<int>().ShouldBe(Batches * Size);
    }

    private Task<long> Stored(Given given, int batch) =>
        service.Query<long>(
            "SELECT count(*) FROM events v JOIN environments e ON e.id = v.environment_id WHERE e.key = @Key AND v.identifier = ANY "
                + "(@identifiers)",
            new { given.Key, identifiers = Enumerable.Range(batch * Size, Size).Select(n => $"user-{n}").ToArray() }
        );
}
