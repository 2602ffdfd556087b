using System.Diagnostics;

namespace Experiments.Tests.Operation;

public class HangingCommitTests(TestCluster cluster)
{
    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData("COMMIT")]
    [InlineData("BEGIN")]
    [InlineData("INSERT INTO idempotency_keys")]
    public async Task A_request_with_a_key_obeys_its_deadline_wherever_the_database_falls_silent(string word)
    {
        await using var proxy = new FaultProxy(await cluster.NewDatabase());
        await using var app = await TestService.Start(proxy.ConnectionString, "--Logging:LogLevel:Default=None");
        var admin = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");
        (await admin.Post("/api/v1/projects/", new { name = "before", organisation = "o" }, ("Idempotency-Key", "before"))).Must(201);
        await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => admin.Get("/api/v1/projects/")));

        proxy.HangAt(word);
        var requests = await Task.WhenAll(
            Enumerable
                .Range(0, 8)
                .Select(async n =>
                {
                    var clock = Stopwatch.StartNew();
                    var reply = await admin.Post(
                        "/api/v1/projects/",
                        new { name = $"p{n}", organisation = "o" },
                        ("Idempotency-Key", $"k{n}")
                    );
                    return (reply, clock.Elapsed);
                })
        );

        foreach (var (reply, took) in requests)
        {
            reply.MustBe(503, "service.unavailable");
            took.ShouldBeLessThan(TimeSpan.FromSeconds(4.5));
        }

        // What came of it is not known; repeated with its key, each is there once.
        proxy.GoOn();
        for (var n = 0; n < 8; n++)
        {
            var name = n;
            await Given.Eventually(async () =>
                (await admin.Post("/api/v1/projects/", new { name = $"p{name}", organisation = "o" }, ("Idempotency-Key", $"k{name}"))).Code
                == 201
            );
        }

        (await admin.Get("/api/v1/projects/")).Must(200)["count"].GetValue<int>().ShouldBe(9);
        await app.StopAsync();
    }
}
