namespace Experiments.Tests.Faults;

/// <summary>What breaks, by name, and how.</summary>
internal static class FaultCatalogue
{
    public const string WrongClock = "the clock of the database is set back by an hour, and right again";
    public const string FullDisk = "the disk of the database is full for five seconds";

    /// <summary>How soon others go on when a replica is gone with everything that it has locked.</summary>
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(10);

    /// <summary>These are part of ./dev test all; the others take longer, and only ./dev faults has the time.</summary>
    public static readonly string[] Short =
    [
        "a replica is killed and another takes its place, three times",
        "a replica is frozen for ten seconds",
        "all connections to the database are ended, five times",
        "the host of a replica is lost",
        "the database hangs at COMMIT for five seconds",
        "forty answers of the database break off in the middle",
    ];

    public static readonly Dictionary<string, Func<CampaignWorld, Task>> All = new()
    {
        ["a replica is killed and another takes its place, three times"] = async world =>
        {
            for (var time = 0; time < 3; time++)
            {
                world.Replicas[time % 2].Kill();
                await Seconds(1);
                await world.Replace(time % 2);
                await Seconds(1);
            }
        },
        ["a replica is frozen for ten seconds"] = async world =>
        {
            world.Replicas[0].Freeze();
            await Seconds(10);
            world.Replicas[0].Thaw();
        },
        ["all connections to the database are ended, five times"] = async world =>
        {
            for (var time = 0; time < 5; time++)
            {
                await world.Database.Execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()");
                await Seconds(0.7);
            }
        },
        ["the host of a replica is lost"] = async world =>
        {
            world.Proxies[0].Hang();
            world.Replicas[0].Kill();
            await world.EveryExperimentChanges(Bound);
            world.Proxies[0].GoOn();
            await world.Replace(0);
        },
        ["the database hangs at COMMIT for five seconds"] = async world =>
        {
            Array.ForEach(world.Proxies, proxy => proxy.HangAt("COMMIT"));
            await Seconds(5);
            Array.ForEach(world.Proxies, proxy => proxy.GoOn());
        },
        ["forty answers of the database break off in the middle"] = async world =>
        {
            Array.ForEach(world.Proxies, proxy => proxy.BreakAnswers(20));
            await Given.Eventually(() => Task.FromResult(world.Proxies.All(proxy => proxy.BreaksLeft <= 0)), TimeSpan.FromSeconds(30));
        },
        ["a replica is cut off from the database for twenty seconds"] = async world =>
        {
            world.Proxies[0].Hang();
            await Seconds(20);
            world.Proxies[0].GoOn();
        },
        ["the replicas are restarted one after the other, twice"] = async world =>
        {
            for (var time = 0; time < 4; time++)
            {
                await world.Replicas[time % 2].Stop();
                await world.Replace(time % 2);
            }
        },
        ["the database is frozen for five seconds"] = async world =>
        {
            world.Database.Signal("STOP");
            await Seconds(5);
            world.Database.Signal("CONT");
        },
        ["the database is killed, twice"] = async world =>
        {
            for (var time = 0; time < 2; time++)
            {
                world.Database.Signal("KILL");
                await Seconds(1);
                await world.Database.Revive();
                await Seconds(2);
            }
        },
        [FullDisk] = async world =>
        {
            world.Database.FillDisk();
            await Seconds(5);
            world.Database.FreeDisk();
            // If it could not go on without room, as an operator would.
            await world.Database.Revive();
        },
        [WrongClock] = async world =>
        {
            await world.Database.SetClock("-1 hour");
            await Seconds(5);
            await world.Database.SetClock("0");
        },
        ["a feature is locked for five seconds"] = world =>
            world.Database.Execute(
                "BEGIN; SELECT feature_id FROM feature_states ORDER BY feature_id OFFSET 1 LIMIT 1 FOR NO KEY UPDATE; "
                    + "SELECT pg_sleep(5); COMMIT"
            ),
    };

    private static Task Seconds(double seconds) => Task.Delay(TimeSpan.FromSeconds(seconds));
}
