using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Operation;

public class StartAndStopTests(TestCluster cluster)
{
    [Fact]
    public async Task Five_replicas_that_start_at_once_on_an_empty_database_migrate_it_once()
    {
        var database = await cluster.EmptyDatabase();

        var apps = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => TestService.Start(database)));

        foreach (var app in apps)
        {
            var client = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");
            (await client.Get("/health/ready")).Must(200);
            (await client.Get("/api/v1/projects/")).Must(200);
            await app.StopAsync();
            await app.DisposeAsync();
        }

        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM schema_history")).ShouldBe(Migrator.Known.Count);
        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM api_keys")).ShouldBe(1);
    }

    [Fact]
    public async Task Every_migration_can_be_undone_and_done_again()
    {
        var database = await cluster.EmptyDatabase();
        (await Migrator.Run(database, null, CancellationToken.None)).ShouldBe(Migrator.Known[^1].Number);
        var before = await Schema(database);

        foreach (var version in Migrator.Known.Select(known => known.Number).Reverse().Skip(1).Append(0))
        {
            (await Migrator.Run(database, version, CancellationToken.None)).ShouldBe(version);
        }

        (
            await TestCluster.Scalar<long>(
                database,
                "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '%schema_history%'"
            )
        ).ShouldBe(0);
        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace")).ShouldBe(0);
        (await Migrator.Run(database, null, CancellationToken.None)).ShouldBe(Migrator.Known[^1].Number);
        (await Schema(database)).ShouldBe(before);
    }

    [Fact]
    public async Task A_service_whose_database_is_away_lives_says_so_and_recovers()
    {
        var app = await TestService.Start("Host=127.0.0.1;Port=1;Username=nobody;Database=nowhere");
        var client = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");

        (await client.Get("/health/live")).Must(200);
        (await client.Get("/health/ready")).MustBe(503, "service.unavailable");
        (await client.Get("/api/v1/projects/")).MustBe(503, "service.unavailable").Headers.RetryAfter.ShouldNotBeNull();
        (await client.Get("/openapi/v1.json")).Must(200);

        await app.StopAsync();
        await app.DisposeAsync();
    }

    [Fact]
    public async Task What_was_accepted_before_the_stop_is_finished_and_kept()
    {
        var database = await cluster.NewDatabase();
        var app = await TestService.Start(database, "--Requests:Drain=00:00:01.500");
        var client = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");
        (await client.Get("/api/v1/projects/")).Must(200);
        await using var blocker = new NpgsqlConnection(database);
        await blocker.OpenAsync();
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var command = new NpgsqlCommand("LOCK TABLE projects IN EXCLUSIVE MODE", blocker))
        {
            await command.ExecuteNonQueryAsync();
        }

        var accepted = client.Post("/api/v1/projects/", new { name = "last", organisation = "o" });
        await Task.Delay(200);
        var stopping = app.StopAsync();
        await Task.Delay(100);
        (await client.Get("/health/ready")).MustBe(503, "service.unavailable").Headers.Connection.ShouldBe(["close"]);
        await Task.Delay(2_000);
        stopping.IsCompleted.ShouldBeFalse();
        await transaction.RollbackAsync();

        (await accepted).Must(201);
        await stopping;
        await app.DisposeAsync();
        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM projects WHERE name = 'last'")).ShouldBe(1);
    }

    [Fact]
    public async Task While_the_schema_is_an_older_one_everything_but_liveness_is_503()
    {
        var database = await cluster.NewDatabase();
        var app = await TestService.Start(database, "--Logging:LogLevel:Default=None");
        var client = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");
        (await client.Get("/api/v1/projects/")).Must(200);

        await Migrator.Run(database, 0, CancellationToken.None);
        await Given.Eventually(async () =>
            (await client.Get("/health/ready")).Code == 503 && (await client.Get("/api/v1/projects/")).Code == 503
        );
        (await client.Get("/api/v1/projects/")).Headers.RetryAfter.ShouldNotBeNull();
        (await client.Get("/health/live")).Must(200)["version"].GetValue<string>().ShouldNotBeEmpty();

        await Migrator.Run(database, null, CancellationToken.None);
        await Given.Eventually(async () => (await client.Get("/health/ready")).Code == 200);
        await app.StopAsync();
        await app.DisposeAsync();
    }

    [Fact]
    public async Task A_new_admin_key_takes_the_place_of_the_one_given_before()
    {
        var database = await cluster.NewDatabase();
        foreach (var key in new[] { "the-first-admin-key-of-all", "the-second-admin-key-of-all", "the-second-admin-key-of-all" })
        {
            var app = await TestService.Start(database, $"--EXPERIMENTS_ADMIN_KEY={key}");
            (await new Client(new Uri(app.Urls.First()), $"Api-Key {key}").Get("/api/v1/projects/")).Must(200);
            (await new Client(new Uri(app.Urls.First()), "Api-Key the-first-admin-key-of-all").Get("/api/v1/projects/")).Code.ShouldBe(
                key == "the-first-admin-key-of-all" ? 200 : 401
            );
            await app.StopAsync();
            await app.DisposeAsync();
        }

        (await TestCluster.Scalar<string>(database, "SELECT string_agg(action, ',' ORDER BY id) FROM audit_log")).ShouldBe(
            "api_key.created,api_key.revoked,api_key.created"
        );
    }

    [Theory]
    [InlineData("a", true)]
    [InlineData("short-but-random-k9x2Q", true)]
    [InlineData("abababababababababababababababababababab", true)]
    [InlineData("long-enough-and-random-k9x2Q", false)]
    public void A_made_up_key_is_guessable_if_it_is_short_or_monotonous(string key, bool isGuessable) =>
        Secret.IsGuessable(key).ShouldBe(isGuessable);

    [Fact]
    public async Task A_key_of_the_instance_that_is_easy_to_guess_is_refused()
    {
        var database = await cluster.NewDatabase();

        var (exitCode, output, _) = await CommandLine.Run(database, "--EXPERIMENTS_ADMIN_KEY=admin", "--urls=http://127.0.0.1:0");

        exitCode.ShouldBe(1);
        output.ShouldContain("EXPERIMENTS_ADMIN_KEY opens the whole instance");
        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM api_keys")).ShouldBe(0);
    }

    [Fact]
    public void What_the_operator_writes_into_the_connection_string_stands()
    {
        using var source = DatabaseSetup.Source(
            "Host=h;Max Auto Prepare=0;Maximum Pool Size=100;No Reset On Close=false",
            TimeSpan.FromSeconds(3)
        );
        var settings = new NpgsqlConnectionStringBuilder(source.ConnectionString);

        (settings.MaxAutoPrepare, settings.MaxPoolSize, settings.NoResetOnClose).ShouldBe((0, 100, false));
        settings.Options.ShouldNotBeNull().ShouldContain("statement_timeout=3000");
    }

    private static Task<string> Schema(string database) =>
        TestCluster.Scalar<string>(
            database,
            """
            SELECT string_agg(line, E'\n' ORDER BY line) FROM (
                SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(column_default,
                    '') AS line
                FROM information_schema.columns WHERE table_schema = 'public'
                UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
                UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
                    WHERE connamespace = 'public'::regnamespace
                UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
            ) everything
            """
        );
}
