namespace Experiments.Tests.Operation;

public sealed class SlowDatabaseTests : DatabaseOfItsOwn
{
    [Fact]
    public async Task A_database_that_hangs_costs_no_request_more_than_its_deadline()
    {
        (await Admin.Get("/api/v1/projects/")).Must(200);
        Signal("STOP");
        await Task.Delay(TimeSpan.FromSeconds(3.2)); // Until nothing is remembered of who the caller is.

        var requests = Enumerable.Range(0, 40).Select(_ => Timed(() => Admin.Get("/api/v1/projects/", ("X-Request-Id", "mine")))).ToList();
        await Task.Delay(TimeSpan.FromSeconds(1));
        var live = await Timed(() => Admin.Get("/health/live"));
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

        (await Eventually(() => Admin.Get("/api/v1/projects/"), 200)).ShouldBeTrue();
    }

    // Where in a transaction a database hangs is a matter of luck, so it hangs several times under many.
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_database_that_hangs_costs_no_request_with_a_key_more_either()
    {
        var slowest = TimeSpan.Zero;
        for (var freeze = 0; freeze < 4; freeze++)
        {
            using var stop = new CancellationTokenSource();
            var clients = Enumerable
                .Range(0, 20)
                .Select(async client =>
                {
                    for (var n = 0; !stop.IsCancellationRequested; n++)
                    {
                        var (_, took) = await Timed(() =>
                            Admin.Post(
                                "/api/v1/projects/",
                                new { name = "p", organisation = "o" },
                                ("Idempotency-Key", $"{freeze}-{client}-{n}")
                            )
                        );
                        lock (_measuring)
                        {
                            slowest = took > slowest ? took : slowest;
                        }
                    }
                })
                .ToList();
            await Task.Delay(700);
            Signal("STOP");
            await Task.Delay(TimeSpan.FromSeconds(6));
            await stop.CancelAsync();
            Signal("CONT");
            await Task.WhenAll(clients);
        }

        slowest.ShouldBeLessThan(TimeSpan.FromSeconds(4.5));
    }

    private readonly Lock _measuring = new();

    [Fact]
    public async Task A_statement_that_waits_too_long_is_503_and_changes_nothing_later()
    {
        (await Admin.Post("/api/v1/projects/", new { name = "first", organisation = "o" })).Must(201);
        await using var blocker = new Npgsql.NpgsqlConnection(Postgres.ConnectionString);
        await blocker.OpenAsync();
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var command = new Npgsql.NpgsqlCommand("LOCK TABLE projects IN EXCLUSIVE MODE", blocker))
        {
            await command.ExecuteNonQueryAsync();
        }

        // More than there are connections, so that some do not even get one.
        var replies = await Task.WhenAll(
            Enumerable.Range(0, 60).Select(_ => Timed(() => Admin.Post("/api/v1/projects/", new { name = "late", organisation = "o" })))
        );
        await Task.Delay(TimeSpan.FromSeconds(3.5)); // Until the server has ended what was left behind.
        await transaction.RollbackAsync();

        replies.ShouldAllBe(timed => timed.Reply.Code == 503 && timed.Took < TimeSpan.FromSeconds(4.5));
        (await Admin.Get("/api/v1/projects/"))["count"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_request_with_a_key_that_came_too_late_can_be_repeated_and_is_done_once()
    {
        (await Admin.Get("/api/v1/projects/")).Must(200);
        await using var blocker = new Npgsql.NpgsqlConnection(Postgres.ConnectionString);
        await blocker.OpenAsync();
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var command = new Npgsql.NpgsqlCommand("LOCK TABLE projects IN EXCLUSIVE MODE", blocker))
        {
            await command.ExecuteNonQueryAsync();
        }

        var body = new { name = "once", organisation = "o" };
        (await Admin.Post("/api/v1/projects/", body, ("Idempotency-Key", "k"))).MustBe(503, "service.unavailable");
        await transaction.RollbackAsync();

        (await Eventually(() => Admin.Post("/api/v1/projects/", body, ("Idempotency-Key", "k")), 201)).ShouldBeTrue();
        (await Admin.Get("/api/v1/projects/"))["count"].GetValue<int>().ShouldBe(1);
    }
}
