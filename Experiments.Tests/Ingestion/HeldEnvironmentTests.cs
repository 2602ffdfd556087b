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
                var command = new NpgsqlCommand($"SELECT id FROM features WHERE id = {held["feature"]["id"]} FOR NO KEY UPDATE", other)
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
