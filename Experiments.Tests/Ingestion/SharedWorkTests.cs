using Dapper;
using Npgsql;

namespace Experiments.Tests.Ingestion;

/// <summary>Replicas share the work of counting: none takes more environments than it needs to be busy.</summary>
public class SharedWorkTests(TestCluster cluster)
{
    private const long Most = 20_000;

    [Theory]
    [InlineData(2, 1_000_000)]
    [InlineData(2, 10_001)]
    [InlineData(5, 1_000_000)]
    public async Task Two_replicas_take_different_busy_environments_and_what_little_others_have(int environments, int waiting)
    {
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create(database);
        await Plant(source, environments, waiting);
        var quiet = await Plant(source, 3, 5);
        var (one, other) = (await Claim(source), await Claim(source));

        one.Taken.Count(id => !quiet.Contains(id)).ShouldBe(1);
        other.Taken.Count(id => !quiet.Contains(id)).ShouldBe(1);
        one.Taken.Concat(other.Taken).ShouldBeUnique();
        quiet.ShouldBeSubsetOf(one.Taken);
        await one.Connection.DisposeAsync();
        await other.Connection.DisposeAsync();
    }

    [Fact]
    public async Task One_replica_takes_many_quiet_environments_at_once_and_a_busy_one_whole_if_it_is_alone()
    {
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create(database);
        var quiet = await Plant(source, 300, 5);

        var all = await Claim(source);
        all.Taken.ShouldBe(quiet, ignoreOrder: true);
        await all.Connection.DisposeAsync();

        await using (var connection = await source.OpenConnectionAsync())
        {
            await connection.ExecuteAsync("DELETE FROM event_batches");
        }

        await Plant(source, 1, 1_000_000);
        var alone = await Claim(source);
        alone.Shares.ShouldBe([Most]);
        await alone.Connection.DisposeAsync();
    }

    private static async Task<IReadOnlyList<long>> Plant(NpgsqlDataSource source, int environments, int waiting)
    {
        await using var connection = await source.OpenConnectionAsync();
        return (
            await connection.QueryAsync<long>(
                """
                WITH project AS (INSERT INTO projects (name, organisation) VALUES (gen_random_uuid()::text, 'tests') RETURNING id
                ), planted AS (
                    INSERT INTO environments (project_id, name, key)
                    SELECT id, 'e' || n, gen_random_uuid()::text FROM project, generate_series(1, @environments) n RETURNING id
                ), batches AS (
                    INSERT INTO event_batches (environment_id, events, from_at, until_at, joins, received_at)
                    SELECT id, LEAST(1000, @waiting - 1000 * (n - 1)), now(), now(), false, now()
                    FROM planted, generate_series(1, (@waiting + 999) / 1000) n
                )
                SELECT id FROM planted
                """,
                new { environments, waiting }
            )
        ).AsList();
    }

    private static async Task<Claimed> Claim(NpgsqlDataSource source)
    {
        var connection = await source.OpenConnectionAsync();
        await connection.BeginTransactionAsync();
        var rows = (
            await connection.QueryAsync<(long EnvironmentId, long Share)>(
                "SELECT environment_id, share FROM claim_environments('{}', NULL, 17, @Most)",
                new { Most }
            )
        ).AsList();
        return new(connection, [.. rows.Select(row => row.EnvironmentId)], [.. rows.Select(row => row.Share)]);
    }

    private sealed record Claimed(NpgsqlConnection Connection, IReadOnlyList<long> Taken, IReadOnlyList<long> Shares);
}
