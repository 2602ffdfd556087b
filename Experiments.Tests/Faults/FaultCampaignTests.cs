namespace Experiments.Tests.Faults;

/// <summary>
/// Two replicas under load while something breaks. Whatever it is: each event that was acknowledged is stored and counted once, each
/// transition that was acknowledged is audited once, and the clients go on within ten seconds of the repair. Run by ./dev faults.
/// </summary>
public class FaultCampaignTests
{
    private static readonly TimeSpan Repaired = TimeSpan.FromSeconds(10);

    public static TheoryData<string> Chosen =>
        [
            .. Environment.GetEnvironmentVariable("EXPERIMENTS_FAULTS") == "all"
                ? FaultCatalogue.All.Keys
                : FaultCatalogue.Short.AsEnumerable(),
        ];

    [Theory(Explicit = true)]
    [Trait("speed", "slow")]
    [MemberData(nameof(Chosen))]
    public async Task Nothing_acknowledged_is_lost_or_done_twice_while(string fault)
    {
        await using var world = await CampaignWorld.Start(isSmall: fault == FaultCatalogue.FullDisk);
        using var over = new CancellationTokenSource();
        var clients = world.Clients(over.Token);
        await Task.Delay(TimeSpan.FromSeconds(2));
        var (before, failures) = (world.Acknowledged, world.Failures);
        before.ShouldBeGreaterThan(100);

        await FaultCatalogue.All[fault](world);

        before = world.Acknowledged;
        await Given.Eventually(() => Task.FromResult(world.Acknowledged > before + 100), Repaired);
        await world.EveryExperimentChanges(Repaired);
        // It has been felt, except for one that nobody should feel.
        if (fault != FaultCatalogue.WrongClock)
        {
            world.Failures.ShouldBeGreaterThan(failures);
        }

        await over.CancelAsync();
        await clients;
        await world.Check();
    }
}
