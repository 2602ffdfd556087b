using System.Diagnostics;

namespace Experiments.Tests.Operation;

public sealed class DatabaseAwayTests : DatabaseOfItsOwn
{
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_database_that_is_killed_is_503_until_it_is_back_and_nothing_acknowledged_is_lost()
    {
        var before = (await Admin.Post("/api/v1/projects/", new { name = "kept", organisation = "o" })).Must(201);

        Signal("KILL");
        (await Admin.Get("/api/v1/projects/")).MustBe(503, "service.unavailable");
        (await Admin.Get("/health/live")).Must(200);
        (await Admin.Get("/health/ready")).MustBe(503, "service.unavailable");
        await Task.Delay(200);
        (await Postgres.Revive(CancellationToken.None)).ShouldBeTrue();

        (await Eventually(() => Admin.Get("/health/ready"), 200)).ShouldBeTrue();
        (await Admin.Get("/api/v1/projects/"))["results"][0]!["id"]!.GetValue<long>().ShouldBe(before.Id);
    }

    [Fact]
    public async Task While_the_database_is_away_flags_are_served_as_they_were_and_events_are_refused_for_now()
    {
        var project = (await Admin.Post("/api/v1/projects/", new { name = "p", organisation = "o" })).Must(201);
        var key = (await Admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "e" }))
            .Must(201)["key"]
            .GetValue<string>();
        (
            await Admin.Post(
                $"/api/v1/environments/{key}/features/",
                new
                {
                    name = "f",
                    initial_value = "blue",
                    enabled = true,
                }
            )
        ).Must(201);
        var sdk = new Client(new Uri(App!.Urls.First()), null).With("X-Environment-Key", key);
        object events = new { events = new[] { new { @event = "e", timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() } } };
        (await sdk.Get("/api/v1/flags/")).Must(200).Headers.Contains("Snapshot-Age").ShouldBeFalse();

        Signal("KILL");
        Reply? flags = null;
        for (
            var clock = Stopwatch.StartNew();
            clock.Elapsed < TimeSpan.FromSeconds(5) && flags?.Headers.Contains("Snapshot-Age") != true;
            await Task.Delay(20)
        )
        {
            flags = (await sdk.Get("/api/v1/flags/")).Must(200);
        }

        flags!.Headers.GetValues("Snapshot-Age").ShouldHaveSingleItem();
        flags.Json![0]!["feature_state_value"]!.GetValue<string>().ShouldBe("blue");
        (await sdk.Post("/ofrep/v1/evaluate/flags/f", new { context = new { targetingKey = "u" } }))
            .Must(200)["value"]
            .GetValue<string>()
            .ShouldBe("blue");
        (await Admin.Get("/health/ready"))
            .MustBe(503, "service.unavailable")["detail"]
            .GetValue<string>()
            .ShouldContain("Flags are served as they were");
        (await sdk.Post("/v1/events", events))
            .MustBe(503, "service.unavailable")
            .Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(1));
        (await new Client(new Uri(App.Urls.First()), null).Get("/api/v1/flags/", ("X-Environment-Key", "never-asked-for"))).MustBe(
            503,
            "service.unavailable"
        );

        (await Postgres.Revive(CancellationToken.None)).ShouldBeTrue();
        (await Eventually(() => Admin.Get("/health/ready"), 200)).ShouldBeTrue();
        (await sdk.Get("/api/v1/flags/")).Must(200).Headers.Contains("Snapshot-Age").ShouldBeFalse();
        (await Eventually(() => sdk.Post("/v1/events", events), 202)).ShouldBeTrue();
    }

    [Fact]
    public async Task Connections_that_the_server_closed_are_noticed_by_no_reader()
    {
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Admin.Get("/api/v1/projects/")));
        await using (var connection = new Npgsql.NpgsqlConnection(Postgres.ConnectionString))
        {
            await connection.OpenAsync();
            await using var command = new Npgsql.NpgsqlCommand(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'experiments'",
                connection
            );
            await command.ExecuteNonQueryAsync();
        }

        (await Admin.Get("/api/v1/projects/")).Must(200);
    }
}
