using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Operation;

public class CommandTests(TestCluster cluster)
{
    private static readonly long Newest = Migrator.Known[^1].Number;

    [Fact]
    public async Task Migrate_brings_an_empty_database_to_the_newest_version_and_does_nothing_the_second_time()
    {
        var database = await cluster.EmptyDatabase();

        (await CommandLine.Run(database, "migrate")).ShouldBe((0, $"{Newest}", ""));
        (await CommandLine.Run(database, "migrate")).ShouldBe((0, $"{Newest}", ""));

        (await TestCluster.Scalar<long>(database, "SELECT max(version) FROM schema_history")).ShouldBe(Newest);
    }

    [Fact]
    public async Task Migrate_to_a_version_that_does_not_exist_names_those_that_do_and_changes_nothing()
    {
        var database = await cluster.NewDatabase();

        var (code, output, error) = await CommandLine.Run(database, "migrate", "--to", "7");

        code.ShouldBe(1);
        output.ShouldBeEmpty();
        error.ShouldStartWith("There is no version 7.");
        error.ShouldContain($"{Migrator.Known[0]}");
        (await TestCluster.Scalar<long>(database, "SELECT max(version) FROM schema_history")).ShouldBe(Newest);
    }

    [Fact]
    public async Task A_step_down_that_would_delete_rows_says_which_and_needs_force()
    {
        var database = await cluster.NewDatabase();
        (await CommandLine.Run(database, "keys", "create", "--instance-admin", "deploy")).ExitCode.ShouldBe(0);

        var (code, _, error) = await CommandLine.Run(database, "migrate", "--to", "0");

        code.ShouldBe(1);
        error.ShouldBe(
            """
            Going down to version 0 deletes these rows:
              api_keys: 1
              audit_log: 1
            Nothing was changed. To delete them, add --force.
            """
        );
        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM api_keys")).ShouldBe(1);

        (await CommandLine.Run(database, "migrate", "--to", "0", "--force")).ExitCode.ShouldBe(0);

        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM schema_history")).ShouldBe(0);
        (await TestCluster.Scalar<bool>(database, "SELECT to_regclass('api_keys') IS NULL")).ShouldBeTrue();
    }

    [Fact]
    public async Task A_step_down_that_deletes_no_rows_needs_no_force()
    {
        var database = await cluster.NewDatabase();
        var target = Migrator.Known[^2].Number;

        (await CommandLine.Run(database, "migrate", "--to", $"{target}")).ShouldBe((0, $"{target}", ""));

        (await TestCluster.Scalar<long>(database, "SELECT max(version) FROM schema_history")).ShouldBe(target);
    }

    [Fact]
    public async Task A_migration_that_is_killed_leaves_nothing_half_done_and_the_next_one_finishes_it()
    {
        var database = await cluster.EmptyDatabase();
        await using var blocker = new NpgsqlConnection(database);
        await blocker.OpenAsync();
        // The second step creates this sequence, and waits for the lock on its name.
        await using var transaction = await blocker.BeginTransactionAsync();
        await using (var command = new NpgsqlCommand("CREATE SEQUENCE feature_option_ids", blocker))
        {
            await command.ExecuteNonQueryAsync();
        }

        await using (var replica = Replica.Launch(database))
        {
            await Given.Eventually(async () =>
                await TestCluster.Scalar<long>(
                    database,
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND "
                        + "query LIKE '%feature_option_ids%'"
                ) > 0
            );
            replica.Kill();
        }

        await transaction.RollbackAsync();
        await Given.Eventually(async () =>
            await TestCluster.Scalar<long>(
                database,
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%feature_option_ids%' AND "
                    + "pid <> pg_backend_pid()"
            ) == 0
        );
        (await TestCluster.Scalar<long>(database, "SELECT max(version) FROM schema_history")).ShouldBe(Migrator.Known[0].Number);
        (await TestCluster.Scalar<bool>(database, "SELECT to_regclass('features') IS NULL")).ShouldBeTrue();

        (await CommandLine.Run(database, "migrate")).ShouldBe((0, $"{Newest}", ""));
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_key_from_the_command_line_opens_the_instance()
    {
        var database = await cluster.NewDatabase();
        var (code, key, _) = await CommandLine.Run(database, "keys", "create", "--instance-admin", "deploy");
        code.ShouldBe(0);

        await using var app = await TestService.Start(database);
        var client = new Client(new Uri(app.Urls.First()), $"Api-Key {key}");
        (await client.Get("/api/v1/projects/")).Must(200);
        await app.StopAsync();

        (await TestCluster.Scalar<string>(database, "SELECT name FROM api_keys ORDER BY id LIMIT 1")).ShouldBe("deploy");
        var (_, list, _) = await CommandLine.Run(database, "keys", "list");
        list.ShouldContain("1  deploy  scopes read,write,admin, by service");
        list.ShouldNotContain(key);
        (await CommandLine.Run(database, "keys", "revoke", "1")).ShouldBe((0, "Key 1 is revoked.", ""));
        (await CommandLine.Run(database, "keys", "revoke", "1")).ExitCode.ShouldBe(1);
        (await TestCluster.Scalar<long>(database, "SELECT count(*) FROM api_keys WHERE id = 1 AND revoked_at IS NOT NULL")).ShouldBe(1);
        (
            await TestCluster.Scalar<long>(database, "SELECT count(*) FROM audit_log WHERE action = 'api_key.revoked' AND object_id = 1")
        ).ShouldBe(1);
    }

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData]
    [InlineData("--from-events")]
    public async Task Recompute_corrects_what_differs_and_says_how_much(params string[] options)
    {
        var database = await cluster.NewDatabase();
        var app = await TestService.Start(database);
        var admin = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");
        var project = (await admin.Post("/api/v1/projects/", new { name = "shop", organisation = "acme" })).Must(201);
        var key = (await admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" })).Must(201)["key"];
        var root = $"/api/v1/environments/{key}";
        var feature = (
            await admin.PostText(
                $"{root}/features/",
                """{"name": "f", "initial_value": 1, "multivariate_options": [{"key": "test", "value": 2}]}"""
            )
        ).Must(201);
        var experiment = (
            await admin.Post(
                $"{root}/experiments/",
                new
                {
                    name = "e",
                    hypothesis = "h",
                    feature = feature.Id,
                }
            )
        ).Must(201);
        (await admin.Post($"{root}/experiments/{experiment.Id}/start/")).Must(200);
        var events = Enumerable
            .Range(0, 20)
            .Select(n => new
            {
                @event = "$flag_exposure",
                feature_name = "f",
                identifier = $"u{n}",
                value = "control",
                timestamp = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            });
        var sdk = new Client(new Uri(app.Urls.First()), null).With("X-Environment-Key", key.GetValue<string>());
        (await sdk.Post("/v1/events", new { events })).Must(202);
        await Given.Eventually(async () => await TestCluster.Scalar<long>(database, "SELECT count(*) FROM exposures") == 20);
        var counted = await TestCluster.Scalar<long>(database, "SELECT sum(count)::bigint FROM exposure_counts");
        _ = await TestCluster.Scalar<long>(database, "WITH d AS (DELETE FROM exposure_counts RETURNING 1) SELECT count(*) FROM d");

        var (code, output, error) = await CommandLine.Run(database, ["recompute", $"{experiment.Id}", .. options]);

        (code, error).ShouldBe((0, ""));
        output.ShouldStartWith($"Experiment {experiment.Id}: 20 identities rebuilt");
        (await TestCluster.Scalar<long>(database, "SELECT sum(count)::bigint FROM exposure_counts")).ShouldBe(counted);
        (await CommandLine.Run(database, "recompute", "987654321")).ShouldBe((1, "", "There is no experiment 987654321."));
        await app.StopAsync();
        await app.DisposeAsync();
    }

    [Fact]
    public async Task Health_tells_whether_the_service_is_ready()
    {
        var app = await TestService.Start(await cluster.NewDatabase());
        var address = app.Urls.First();
        await Given.Eventually(async () => (await new Client(new Uri(address), null).Get("/health/ready")).Code == 200);

        (await CommandLine.RunWith(("ASPNETCORE_URLS", address), "health")).ExitCode.ShouldBe(0);
        await app.StopAsync();
        await app.DisposeAsync();
        (await CommandLine.RunWith(("ASPNETCORE_URLS", address), "health")).ExitCode.ShouldBe(1);
    }

    [Fact]
    public async Task An_unknown_command_explains_what_there_is()
    {
        var (code, output, error) = await CommandLine.Run("", "frobnicate");

        code.ShouldBe(2);
        output.ShouldBeEmpty();
        error.ShouldStartWith("Usage:");
    }
}
