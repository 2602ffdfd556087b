using Experiments.Api.Aggregation;
using Npgsql;

namespace Experiments.Tests.Ingestion;

/// <summary>What is locked or cannot be read in one environment holds up that one, and is counted once it can be.</summary>
public class HeldEnvironmentTests(QuietService service) : IClassFixture<QuietService>
{
    [Fact]
    public async Task A_feature_that_stays_locked_holds_up_its_own_environment_only()
    {
        var (here, there) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));
        var (held, free) = (await here.ARunningExperimentWithAMetric(), await there.ARunningExperimentWithAMetric());
        await using (var other = new NpgsqlConnection(service.ConnectionString))
        {
            await other.OpenAsync();
            await using var transaction = await other.BeginTransactionAsync();
            await using (
                var command = new NpgsqlCommand(
                    $"SELECT feature_id FROM feature_states WHERE feature_id = {held["feature"]["id"]} FOR NO KEY UPDATE",
                    other
                )
            )
            {
                await command.ExecuteNonQueryAsync();
            }

            await here.ExposeAndConvert(held, 30);
            await there.ExposeAndConvert(free, 30);

            await Counted(there, free, 30);
            await Given.Eventually(async () =>
                (await here.Exposures(held)).Json!["counting_held"]?["reason"]?.GetValue<string>() == "locked"
            );
            (await here.Exposures(held))["events_not_counted"].GetValue<int>().ShouldBe(60);
            (await there.Exposures(free)).Json!["counting_held"].ShouldBeNull();
            await there.ExposeAndConvert(free, 60);
            await Counted(there, free, 60);
        }

        await Counted(here, held, 30);
        (await here.Exposures(held)).Json!["counting_held"].ShouldBeNull();
        (await service.Query<long>("SELECT count(*) FROM counting_holds")).ShouldBe(0);
    }

    [Fact]
    public async Task While_one_replica_aggregates_an_environment_another_aggregates_the_next()
    {
        var (here, there) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));
        var (taken, free) = (await here.ARunningExperimentWithAMetric(), await there.ARunningExperimentWithAMetric());
        await using (var replica = new NpgsqlConnection(service.ConnectionString))
        {
            await replica.OpenAsync();
            await using var transaction = await replica.BeginTransactionAsync();
            await Given.Eventually(() => AggregationLock.Take(replica, taken.Id));

            await here.ExposeAndConvert(taken, 30);
            await there.ExposeAndConvert(free, 30);

            await Counted(there, free, 30);
            (await here.Exposures(taken))["events_not_counted"].GetValue<int>().ShouldBe(60);
            (await here.Exposures(taken)).Json!["counting_held"].ShouldBeNull();
        }

        await Counted(here, taken, 30);
    }

    [Fact]
    public async Task An_environment_with_much_waiting_leaves_a_share_to_others()
    {
        var environments = new List<long>();
        for (var n = 0; n < 3; n++)
        {
            var given = await Given.AnEnvironment(service);
            environments.Add(await service.Query<long>("SELECT id FROM environments WHERE key = @Key", new { given.Key }));
        }

        await using var connection = new NpgsqlConnection(service.ConnectionString);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        // The first has a long backlog, since an hour ago; of the others, one waits since now, and one since an hour ago.
        await Add(environments[0], 200, "1 hour");
        await Add(environments[1], 1, "0");
        await Add(environments[2], 1, "1 hour");
        var seen = new HashSet<string>();
        for (var seed = 1; seed <= 20; seed++)
        {
            seen.Add(string.Join(' ', await Claim(seed)));
        }

        seen.ShouldBe([$"{environments[0]}:3750 {environments[2]}:3750", $"{environments[1]}:3750"], ignoreOrder: true);

        async Task Add(long environment, int batches, string ago)
        {
            await using var command = new NpgsqlCommand(
                $"""
                INSERT INTO event_batches (id, environment_id, events, from_at, until_at, received_at)
                SELECT 1000 * {environment} + n, {environment}, 1000, now() - interval '2 hours', now(), now() - interval '{ago}'
                FROM generate_series(1, {batches}) n
                """,
                connection
            );
            await command.ExecuteNonQueryAsync();
        }

        async Task<string[]> Claim(int seed)
        {
            await transaction.SaveAsync("before");
            await using var command = new NpgsqlCommand(
                $"""
                SELECT array_agg(environment_id || ':' || share ORDER BY environment_id)
                FROM claim_environments(ARRAY[]::bigint[], ARRAY[{string.Join(',', environments)}]::bigint[], {seed}, 15000, 1)
                """,
                connection
            );
            var claimed = (string[])(await command.ExecuteScalarAsync())!;
            // A savepoint gives the locks back.
            await transaction.RollbackAsync("before");
            return claimed;
        }
    }

    [Fact]
    public async Task A_locked_experiment_holds_up_nobody_else_either()
    {
        var (here, there) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));
        var (held, free) = (await here.ARunningExperimentWithAMetric(), await there.ARunningExperimentWithAMetric());
        await using (var other = new NpgsqlConnection(service.ConnectionString))
        {
            await other.OpenAsync();
            await using var transaction = await other.BeginTransactionAsync();
            await using (var command = new NpgsqlCommand($"SELECT id FROM experiments WHERE id = {held.Id} FOR UPDATE", other))
            {
                await command.ExecuteNonQueryAsync();
            }

            await here.ExposeAndConvert(held, 30);
            await there.ExposeAndConvert(free, 30);
            await Counted(there, free, 30);
        }

        await Counted(here, held, 30);
    }

    [Fact]
    public async Task What_another_replica_has_counted_is_held_no_more()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.ARunningExperimentWithAMetric();
        await service.Execute(
            "INSERT INTO counting_holds (environment_id, reason) SELECT id, 'locked' FROM environments WHERE key = @Key",
            new { given.Key }
        );

        await given.ExposeAndConvert(experiment, 5);
        await Counted(given, experiment, 5);

        (
            await service.Query<long>(
                "SELECT count(*) FROM counting_holds h JOIN environments e ON e.id = h.environment_id WHERE e.key = @Key",
                new { given.Key }
            )
        ).ShouldBe(0);
    }

    private static async Task Counted(Given given, Reply experiment, int identities)
    {
        Reply? exposures = null;
        await Given.Eventually(async () =>
            (exposures = await given.Exposures(experiment))["total"].GetValue<int>() == identities
            && exposures["events_not_counted"].GetValue<int>() == 0
        );
    }
}
