using System.Diagnostics;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Experiments.Tests.Evaluation;

/// <summary>Replicas read what has changed and nothing else, and miss nothing, whatever becomes of the notifications.</summary>
public class SnapshotCatchUpTests(TestCluster cluster, ITestOutputHelper output)
{
    private const string Plant = """
        SET session_replication_role = replica;
        INSERT INTO projects (name, organisation) VALUES ('shop', 'acme');
        INSERT INTO environments (project_id, name, key) SELECT 1, 'e' || n, 'key-' || n FROM generate_series(1, @environments) n;
        INSERT INTO features (project_id, name) SELECT 1, 'f' || n FROM generate_series(1, @features) n;
        INSERT INTO feature_states (environment_id, feature_id, project_id, enabled, initial_value)
        SELECT e.id, f.id, 1, true, '0' FROM environments e CROSS JOIN features f;
        """;

    [Fact]
    public async Task A_change_is_served_within_two_seconds_if_its_notification_is_lost()
    {
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create(database);
        await Run(source, Plant, 2, 1);
        await using var app = await TestService.Start(database);
        var sdk = new Client(new Uri(app.Urls.First()), null).With("X-Environment-Key", "key-2");
        (await sdk.Get("/api/v1/flags/")).Must(200).Json![0]!["feature_state_value"]!.GetValue<int>().ShouldBe(0);

        await Run(
            source,
            """
            SET session_replication_role = replica;
            UPDATE feature_states SET initial_value = '7' WHERE environment_id = 2;
            INSERT INTO serving_changes (environment_id) VALUES (2);
            """
        );

        await Given.Eventually(
            async () => (await sdk.Get("/api/v1/flags/")).Must(200).Json![0]!["feature_state_value"]!.GetValue<int>() == 7,
            TimeSpan.FromSeconds(2)
        );
        await app.StopAsync();
    }

    [Fact]
    public async Task A_change_that_commits_late_is_found_by_the_reading_after_it()
    {
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create(database);
        await Run(source, Plant, 3, 1);
        await using var reader = new SnapshotReader(new DatabaseServer(database, null), NullLogger<SnapshotReader>.Instance);
        var start = await reader.ChangedSince(null, CancellationToken.None);
        start.Environments.ShouldBeEmpty();
        await using var late = await source.OpenConnectionAsync();
        await using var transaction = await late.BeginTransactionAsync();
        await using var update = new NpgsqlCommand("UPDATE feature_states SET enabled = false WHERE environment_id = 1", late, transaction);
        await update.ExecuteNonQueryAsync();
        await Run(source, "UPDATE feature_states SET enabled = false WHERE environment_id = 2");

        var before = await reader.ChangedSince(start.Moment, CancellationToken.None);
        await transaction.CommitAsync();
        var after = await reader.ChangedSince(before.Moment, CancellationToken.None);
        var nothing = await reader.ChangedSince(after.Moment, CancellationToken.None);

        before.Environments.ShouldBe([2]);
        after.Environments.ShouldBe([1]);
        nothing.Environments.ShouldBeEmpty();
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Twenty_thousand_environments_of_twenty_flags_stay_fresh_within_a_second()
    {
        const int Environments = 20_000;
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create($"{database};Command Timeout=120");
        await Run(source, Plant, Environments, 20);
        await using var app = await TestService.Start(database, "--Logging:LogLevel:Default=None");
        var client = new Client(new Uri(app.Urls.First()), null);
        await Parallel.ForEachAsync(
            Enumerable.Range(1, Environments),
            new ParallelOptions { MaxDegreeOfParallelism = 4 },
            async (n, _) => (await client.With("X-Environment-Key", $"key-{n}").Get("/api/v1/flags/")).Must(200)
        );

        var (slowest, changes) = (TimeSpan.Zero, 0);
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(30); changes++)
        {
            var environment = Random.Shared.Next(1, Environments + 1);
            var sdk = client.With("X-Environment-Key", $"key-{environment}");
            await Run(
                source,
                $"UPDATE feature_states SET initial_value = '{changes + 1}' WHERE environment_id = {environment} AND feature_id = 1"
            );
            var changed = Stopwatch.StartNew();
            await Given.Eventually(
                async () => (await sdk.Get("/api/v1/flags/")).Must(200).Json![0]!["feature_state_value"]!.GetValue<int>() == changes + 1,
                TimeSpan.FromSeconds(1)
            );
            slowest = changed.Elapsed > slowest ? changed.Elapsed : slowest;
            (await client.Get("/health/ready")).Must(200);
        }

        changes.ShouldBeGreaterThan(50);
        output.WriteLine($"{changes} changes, the slowest served after {slowest.TotalMilliseconds:F0} ms");
        await app.StopAsync();
    }

    private static async Task Run(NpgsqlDataSource source, string sql, int environments = 0, int features = 0)
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        if (environments > 0)
        {
            command.Parameters.AddWithValue("environments", environments);
            command.Parameters.AddWithValue("features", features);
        }

        await command.ExecuteNonQueryAsync();
    }
}
