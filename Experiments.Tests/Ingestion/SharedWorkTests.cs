using System.Numerics;
using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Logging.Abstractions;
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

    [Theory]
    [InlineData(2, new[] { 8, 8, 0 })]
    [InlineData(3, new[] { 6, 6, 4, 0 })]
    [InlineData(40, new[] { 1, 1, 1 })]
    public async Task Replicas_share_the_slots_of_one_environment_where_very_much_waits(int replicas, int[] expected)
    {
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create(database);
        var environment = (await Plant(source, 1, 1_000_000))[0];
        var claims = new List<Claimed>();
        foreach (var _ in expected)
        {
            claims.Add(await Claim(source, replicas));
        }

        claims.Select(claim => claim.Slots.Sum(slots => BitOperations.PopCount((uint)slots))).ShouldBe(expected);
        var bits = claims.SelectMany(claim => claim.Slots).ToList();
        bits.Sum().ShouldBe(bits.Aggregate(0, (all, slots) => all | slots), "no slot is counted twice");
        // Whoever needs the environment whole waits for them once some slots have been counted, and goes first.
        await using var other = await source.OpenConnectionAsync();
        (await TakeEnvironment()).ShouldBeFalse();
        await claims[0].Connection.ExecuteAsync("UPDATE event_batches SET counted_slots = 1");
        await claims[0].Transaction.CommitAsync();
        var taken = TakeEnvironment();
        await Given.Eventually(async () =>
            await claims[0]
                .Connection.QuerySingleAsync<bool>(
                    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid = @ProcessID)",
                    new { other.ProcessID }
                )
        );
        var late = await Claim(source, replicas);
        late.Slots.ShouldBeEmpty();
        await late.Connection.DisposeAsync();
        taken.IsCompleted.ShouldBeFalse();

        foreach (var claim in claims)
        {
            await claim.Connection.DisposeAsync();
        }

        (await taken).ShouldBeTrue();

        async Task<bool> TakeEnvironment()
        {
            await using var transaction = await other.BeginTransactionAsync();
            return await AggregationLock.TakeEnvironment(other, environment);
        }
    }

    [Fact]
    public async Task What_batches_say_of_identities_is_taken_in_before_slots_are_counted_and_what_has_begun_before_that()
    {
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create(database);
        await Plant(source, 1, 1_000_000);
        await using (var connection = await source.OpenConnectionAsync())
        {
            await connection.ExecuteAsync("UPDATE event_batches SET joins = true WHERE id = (SELECT min(id) FROM event_batches)");
            (await Slots(2)).ShouldBe([0]);
            await connection.ExecuteAsync("UPDATE event_batches SET counted_slots = 2 WHERE id = (SELECT max(id) FROM event_batches)");
            (await Slots(2)).ShouldBe([65535]);
            await connection.ExecuteAsync("UPDATE event_batches SET joins = false");
            (await Slots(2)).ShouldHaveSingleItem().ShouldBeInRange(1, 65534);
        }

        (await Slots(1)).ShouldBe([65535]);

        async Task<IReadOnlyList<int>> Slots(int replicas)
        {
            var claim = await Claim(source, replicas);
            await claim.Connection.DisposeAsync();
            return claim.Slots;
        }
    }

    [Fact]
    public async Task What_is_said_of_identities_is_read_however_long_after_the_oldest_batch_and_slots_end_no_hold()
    {
        var database = await cluster.NewDatabase();
        await using var source = AggregationWorker.Source(new DatabaseServer(database, null), null);
        await using var connection = await source.OpenConnectionAsync();
        var environment = (await Plant(source, 1, 100_000))[0];
        await connection.ExecuteAsync(
            """
            UPDATE event_batches SET joins = true WHERE id = (SELECT id FROM event_batches ORDER BY id OFFSET 3 LIMIT 1);
            UPDATE event_batches SET id = id + (600000::bigint << 20), received_at = received_at + interval '10 min'
            WHERE id >= (SELECT id FROM event_batches WHERE joins);
            INSERT INTO counting_holds (environment_id, reason) VALUES (@environment, 'failed');
            """,
            new { environment }
        );

        await Count(replicas: 2);
        (await State()).ShouldBe((0, 0, 100, 1));
        await Count(replicas: 2);
        (await State()).ShouldBe((0, 3, 100, 1), "the others came too late to be counted with these");
        await Count(replicas: 1);
        (await State()).ShouldBe((0, 0, 97, 0));

        async Task Count(int replicas)
        {
            var store = new PostgresEventStore(source, NullLogger<PostgresEventStore>.Instance);
            var batch = new AggregationBatch(store, source, connection, TimeSpan.FromDays(1), replicas: replicas);
            (await batch.Run([], null, CancellationToken.None)).ShouldNotBeNull();
        }

        Task<(long Joining, long Begun, long Waiting, long Held)> State() =>
            connection.QuerySingleAsync<(long, long, long, long)>(
                """
                SELECT count(*) FILTER (WHERE joins), count(*) FILTER (WHERE counted_slots <> 0), count(*),
                    (SELECT count(*) FROM counting_holds)
                FROM event_batches
                """
            );
    }

    [Fact]
    public async Task Replicas_are_told_apart_by_the_names_of_their_connections()
    {
        var database = await cluster.NewDatabase();
        await using var source = NpgsqlDataSource.Create(database);
        await Plant(source, 1, 1_000_000);
        var alone = await Claim(source, replicas: null);
        await alone.Connection.DisposeAsync();
        var others = new List<NpgsqlConnection>();
        // A pooler may add the address of a client, and one replica may have several connections.
        foreach (var name in new[] { new string('a', 32), new string('b', 32), new string('b', 32) + " - app:5432" })
        {
            others.Add(new($"{database};Pooling=false;Application Name=experiments-aggregation-{name}"));
            await others[^1].OpenAsync();
        }

        var together = await Claim(source, replicas: null);

        alone.Slots.ShouldBe([65535]);
        together.Slots.Select(slots => BitOperations.PopCount((uint)slots)).ShouldBe([8]);
        others.ForEach(other => other.Dispose());
        await together.Connection.DisposeAsync();
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

    private static async Task<Claimed> Claim(NpgsqlDataSource source, int? replicas = 1)
    {
        var connection = await source.OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        var rows = (
            await connection.QueryAsync<(long EnvironmentId, long Share, int Slots)>(
                "SELECT environment_id, share, slots FROM claim_environments('{}', NULL, 17, @Most, @replicas)",
                new { Most, replicas }
            )
        ).AsList();
        return new(
            connection,
            transaction,
            [.. rows.Select(row => row.EnvironmentId)],
            [.. rows.Select(row => row.Share)],
            [.. rows.Select(row => row.Slots)]
        );
    }

    private sealed record Claimed(
        NpgsqlConnection Connection,
        NpgsqlTransaction Transaction,
        IReadOnlyList<long> Taken,
        IReadOnlyList<long> Shares,
        IReadOnlyList<int> Slots
    );
}
