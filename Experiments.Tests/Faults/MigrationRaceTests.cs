using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Faults;

public class MigrationRaceTests(TestCluster cluster)
{
    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Of_five_replicas_that_migrate_at_once_two_are_killed_on_the_way_and_the_others_get_ready(int step)
    {
        var database = await cluster.EmptyDatabase();
        var replicas = Enumerable.Range(0, 5).Select(_ => Replica.Launch(database, "--Logging:LogLevel:Default=None")).ToList();
        try
        {
            await Given.Eventually(async () => await Steps(database) >= step, TimeSpan.FromSeconds(30));
            replicas[0].Kill();
            replicas[1].Kill();

            foreach (var replica in replicas.Skip(2))
            {
                await Given.Eventually(
                    async () =>
                    {
                        try
                        {
                            return (await replica.Admin.Get("/health/ready")).Code == 200;
                        }
                        catch (HttpRequestException)
                        {
                            return false;
                        }
                    },
                    TimeSpan.FromSeconds(30)
                );
            }

            (await Steps(database)).ShouldBe(Migrator.Known.Count);
            (await replicas[2].Admin.Post("/api/v1/projects/", new { name = "shop", organisation = "acme" })).Must(201);
        }
        finally
        {
            foreach (var replica in replicas)
            {
                await replica.DisposeAsync();
            }
        }
    }

    private static async Task<long> Steps(string database)
    {
        try
        {
            return await TestCluster.Scalar<long>(database, "SELECT count(*) FROM schema_history");
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return 0;
        }
    }
}
