using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;

namespace Experiments.Tests.Access;

/// <summary>What is remembered of a caller is remembered for some seconds, whatever the clock of the machine says.</summary>
public class RememberedGrantTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData(-1)]
    [InlineData(0)]
    [InlineData(25)]
    public async Task A_revoked_key_is_dead_within_seconds_though_a_clock_was_set(int hours)
    {
        var given = await Given.AnEnvironment(service);
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "lost" })).Must(201);
        var clock = new SetClock();
        await using var source = DatabaseSetup.Source(service.ConnectionString);
        using var access = new AccessCache(source, clock);
        (await access.Identify(key["key"].GetValue<string>(), CancellationToken.None)).ShouldNotBeNull();

        clock.Set(TimeSpan.FromHours(hours));
        await service.Execute("UPDATE api_keys SET revoked_at = now() WHERE id = @Id", new { key.Id });
        clock.Elapse(AccessCache.Lifetime + TimeSpan.FromSeconds(0.1));

        (await access.Identify(key["key"].GetValue<string>(), CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task A_grant_is_asked_for_again_though_a_clock_was_set_back()
    {
        var given = await Given.AnEnvironment(service);
        var admin = (await given.Admin.Post($"{given.Root}/admins/", new { subject = "leaver" })).Must(201);
        var clock = new SetClock();
        await using var source = DatabaseSetup.Source(service.ConnectionString);
        using var access = new AccessCache(source, clock);
        var actor = new Actor("leaver") { Subject = "leaver", Issuer = TestService.Issuer };
        (await access.Environment(actor, given.Key, CancellationToken.None)).ShouldNotBeNull();

        clock.Set(TimeSpan.FromHours(-1));
        await service.Execute("DELETE FROM admins WHERE id = @Id", new { admin.Id });
        clock.Elapse(AccessCache.Lifetime + TimeSpan.FromSeconds(0.1));

        (await access.Environment(actor, given.Key, CancellationToken.None)).ShouldBeNull();
    }

    [Fact]
    public async Task One_request_renews_a_grant_while_the_others_use_it()
    {
        var given = await Given.AnEnvironment(service);
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "busy" })).Must(201)["key"].GetValue<string>();
        var clock = new SetClock();
        await using var source = DatabaseSetup.Source(service.ConnectionString);
        using var access = new AccessCache(source, clock);
        var caller = Actor.Of((await access.Identify(key, CancellationToken.None))!.Principal!);
        await access.Environment(caller, given.Key, CancellationToken.None);

        clock.Elapse(0.95 * AccessCache.Lifetime);

        new[] { access.Remembered(key), access.Remembered(key), access.Remembered(key) }
            .Select(remembered => remembered is not null)
            .ShouldBe([false, true, true]);
        access.Remembered(caller, given.Key).ShouldBeNull();
        access.Remembered(caller, given.Key).ShouldNotBeNull();
        await access.Identify(key, CancellationToken.None);
        await access.Environment(caller, given.Key, CancellationToken.None);
        clock.Elapse(0.5 * AccessCache.Lifetime);
        access.Remembered(key).ShouldNotBeNull();
        access.Remembered(caller, given.Key).ShouldNotBeNull();
    }

    [Fact]
    public async Task A_key_expires_by_the_clock_of_the_database_and_is_not_remembered_beyond()
    {
        var given = await Given.AnEnvironment(service);
        var key = (
            await given.Admin.Post($"{given.Root}/api-keys/", new { name = "short", expires_at = DateTimeOffset.UtcNow.AddMinutes(10) })
        ).Must(201);
        var clock = new SetClock();
        clock.Set(TimeSpan.FromHours(-1));
        await using var source = DatabaseSetup.Source(service.ConnectionString);
        using var access = new AccessCache(source, clock);
        await service.Execute("UPDATE api_keys SET expires_at = now() + interval '1 second' WHERE id = @Id", new { key.Id });
        (await access.Identify(key["key"].GetValue<string>(), CancellationToken.None)).ShouldNotBeNull();

        clock.Elapse(TimeSpan.FromSeconds(1.1));
        await Task.Delay(TimeSpan.FromSeconds(1.1));

        (await access.Identify(key["key"].GetValue<string>(), CancellationToken.None)).ShouldBeNull();
    }

    // A clock that somebody sets, while time itself goes on.
    private sealed class SetClock : TimeProvider
    {
        private long _elapsed;
        private TimeSpan _set;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Set(TimeSpan by) => _set += by;

        public void Elapse(TimeSpan time) => _elapsed += time.Ticks;

        public override long GetTimestamp() => _elapsed;

        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UtcNow + _set + TimeSpan.FromTicks(_elapsed);
    }
}
