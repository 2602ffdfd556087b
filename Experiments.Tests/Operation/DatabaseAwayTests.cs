using System.Diagnostics;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Operation;

/// <summary>A service on a PostgreSQL of its own, which is stopped, killed and brought back under it.</summary>
public sealed class DatabaseAwayTests : IAsyncLifetime
{
    private readonly EmbeddedPostgres _postgres = new(Temporary.Directory("away"), "fsync=off");
    private Microsoft.AspNetCore.Builder.WebApplication? _app;
    private Client _admin = null!;

    private string Data => Path.Combine(_postgres.Root, "postgres");

    public async ValueTask InitializeAsync()
    {
        await _postgres.Start(CancellationToken.None);
        _app = await TestService.Start(_postgres.ConnectionString);
        _admin = new Client(new Uri(_app.Urls.First()), $"Api-Key {TestService.AdminKey}");
    }

    public async ValueTask DisposeAsync()
    {
        Signal("CONT");
        await _app!.StopAsync();
        await _app.DisposeAsync();
        await _postgres.DisposeAsync();
        Directory.Delete(_postgres.Root, recursive: true);
    }

    [Fact]
    public async Task A_database_that_hangs_costs_no_request_more_than_its_deadline()
    {
        (await _admin.Get("/api/v1/projects/")).Must(200);
        Signal("STOP");
        await Task.Delay(TimeSpan.FromSeconds(3.2)); // Until nothing is remembered of who the caller is.

        var requests = Enumerable.Range(0, 40).Select(_ => Timed(() => _admin.Get("/api/v1/projects/", ("X-Request-Id", "mine")))).ToList();
        await Task.Delay(TimeSpan.FromSeconds(1));
        var live = await Timed(() => _admin.Get("/health/live"));
        var replies = await Task.WhenAll(requests);
        Signal("CONT");

        live.Reply.Must(200);
        live.Took.ShouldBeLessThan(TimeSpan.FromSeconds(1));
        foreach (var (reply, took) in replies)
        {
            reply.MustBe(503, "service.unavailable");
            reply.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(1));
            reply.Headers.GetValues("X-Request-Id").ShouldBe(["mine"]);
            took.ShouldBeLessThan(TimeSpan.FromSeconds(4.5));
        }

        (await Eventually(() => _admin.Get("/api/v1/projects/"), 200)).ShouldBeTrue();
    }

    [Fact]
    public async Task A_database_that_is_killed_is_503_until_it_is_back_and_nothing_acknowledged_is_lost()
    {
        var before = (await _admin.Post("/api/v1/projects/", new { name = "kept", organisation = "o" })).Must(201);

        Signal("KILL");
        (await _admin.Get("/api/v1/projects/")).MustBe(503, "service.unavailable");
        (await _admin.Get("/health/live")).Must(200);
        (await _admin.Get("/health/ready")).MustBe(503, "service.unavailable");
        await Task.Delay(200);
        (await _postgres.Revive(CancellationToken.None)).ShouldBeTrue();

        (await Eventually(() => _admin.Get("/health/ready"), 200)).ShouldBeTrue();
        (await _admin.Get("/api/v1/projects/"))["results"][0]!["id"]!.GetValue<long>().ShouldBe(before.Id);
    }

    [Fact]
    public async Task While_the_database_is_away_flags_are_served_as_they_were_and_events_are_refused_for_now()
    {
        var project = (await _admin.Post("/api/v1/projects/", new { name = "p", organisation = "o" })).Must(201);
        var key = (await _admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "e" })).Must(201)["key"].GetValue<string>();
        (await _admin.Post($"/api/v1/environments/{key}/features/", new { name = "f", initial_value = "blue", enabled = true })).Must(201);
        var sdk = new Client(new Uri(_app!.Urls.First()), null).With("X-Environment-Key", key);
        object events = new { events = new[] { new { @event = "e", timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() } } };
        (await sdk.Get("/api/v1/flags/")).Must(200).Headers.Contains("Snapshot-Age").ShouldBeFalse();

        Signal("KILL");
        Reply? flags = null;
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(5) && flags?.Headers.Contains("Snapshot-Age") != true; await Task.Delay(20))
        {
            flags = (await sdk.Get("/api/v1/flags/")).Must(200);
        }

        flags!.Headers.GetValues("Snapshot-Age").ShouldHaveSingleItem();
        flags.Json![0]!["feature_state_value"]!.GetValue<string>().ShouldBe("blue");
        (await sdk.Post("/ofrep/v1/evaluate/flags/f", new { context = new { targetingKey = "u" } })).Must(200)["value"].GetValue<string>().ShouldBe("blue");
        (await _admin.Get("/health/ready")).MustBe(503, "service.unavailable")["detail"].GetValue<string>().ShouldContain("Flags are served as they were");
        (await sdk.Post("/v1/events", events)).MustBe(503, "service.unavailable").Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(1));
        (await new Client(new Uri(_app.Urls.First()), null).Get("/api/v1/flags/", ("X-Environment-Key", "never-asked-for"))).MustBe(503, "service.unavailable");

        (await _postgres.Revive(CancellationToken.None)).ShouldBeTrue();
        (await Eventually(() => _admin.Get("/health/ready"), 200)).ShouldBeTrue();
        (await sdk.Get("/api/v1/flags/")).Must(200).Headers.Contains("Snapshot-Age").ShouldBeFalse();
        (await Eventually(() => sdk.Post("/v1/events", events), 202)).ShouldBeTrue();
    }

    [Fact]
    public async Task A_statement_that_waits_too_long_is_503_and_changes_nothing_later()
    {
        (await _admin.Post("/api/v1/projects/", new { name = "first", organisation = "o" })).Must(201);
        await using var blocker = new Npgsql.NpgsqlConnection(_postgres.ConnectionString);
        await blocker.OpenAsync();
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var command = new Npgsql.NpgsqlCommand("LOCK TABLE projects IN EXCLUSIVE MODE", blocker))
        {
            await command.ExecuteNonQueryAsync();
        }

        // More than there are connections, so that some do not even get one.
        var replies = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => Timed(() => _admin.Post("/api/v1/projects/", new { name = "late", organisation = "o" }))));
        await Task.Delay(TimeSpan.FromSeconds(3.5)); // Until the server has ended what was left behind.
        await transaction.RollbackAsync();

        replies.ShouldAllBe(timed => timed.Reply.Code == 503 && timed.Took < TimeSpan.FromSeconds(4.5));
        (await _admin.Get("/api/v1/projects/"))["count"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_request_with_a_key_that_came_too_late_can_be_repeated_and_is_done_once()
    {
        (await _admin.Get("/api/v1/projects/")).Must(200);
        await using var blocker = new Npgsql.NpgsqlConnection(_postgres.ConnectionString);
        await blocker.OpenAsync();
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var command = new Npgsql.NpgsqlCommand("LOCK TABLE projects IN EXCLUSIVE MODE", blocker))
        {
            await command.ExecuteNonQueryAsync();
        }

        var body = new { name = "once", organisation = "o" };
        (await _admin.Post("/api/v1/projects/", body, ("Idempotency-Key", "k"))).MustBe(503, "service.unavailable");
        await transaction.RollbackAsync();

        (await Eventually(() => _admin.Post("/api/v1/projects/", body, ("Idempotency-Key", "k")), 201)).ShouldBeTrue();
        (await _admin.Get("/api/v1/projects/"))["count"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task Connections_that_the_server_closed_are_noticed_by_no_reader()
    {
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _admin.Get("/api/v1/projects/")));
        await using (var connection = new Npgsql.NpgsqlConnection(_postgres.ConnectionString))
        {
            await connection.OpenAsync();
            await using var command = new Npgsql.NpgsqlCommand("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'experiments'", connection);
            await command.ExecuteNonQueryAsync();
        }

        (await _admin.Get("/api/v1/projects/")).Must(200);
    }

    private void Signal(string signal)
    {
        var postmaster = File.ReadLines(Path.Combine(Data, "postmaster.pid")).First();
        using var kill = Process.Start("/bin/sh", ["-c", $"kill -{signal} {postmaster} $(cat /proc/{postmaster}/task/{postmaster}/children) 2>/dev/null; true"]);
        kill.WaitForExit();
    }

    private static async Task<(Reply Reply, TimeSpan Took)> Timed(Func<Task<Reply>> request)
    {
        var clock = Stopwatch.StartNew();
        return (await request(), clock.Elapsed);
    }

    private static async Task<bool> Eventually(Func<Task<Reply>> request, int status)
    {
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(15); await Task.Delay(100))
        {
            if ((await request()).Code == status)
            {
                return true;
            }
        }

        return false;
    }
}
