using System.Diagnostics;
using Experiments.Api.Evaluation;
using Npgsql;

namespace Experiments.Tests.Evaluation;

public class QuietInstanceTests(TestService service) : IClassFixture<TestService>
{
    [Theory]
    [InlineData(0.1)]
    [InlineData(500)]
    [InlineData(999)]
    [InlineData(1001)]
    public async Task To_wait_for_less_than_a_millisecond_is_not_to_wait_for_ever(double microseconds)
    {
        await using var connection = new NpgsqlConnection(service.ConnectionString);
        await connection.OpenAsync();

        (
            await SnapshotRefresher
                .Wait(connection, TimeSpan.FromMicroseconds(microseconds), CancellationToken.None)
                .WaitAsync(TimeSpan.FromSeconds(5))
        ).ShouldBeFalse();
    }

    // A minute in which nothing happens; every tenth of the waits for nothing would have been for ever.
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_service_that_is_left_alone_stays_ready_and_reads_on()
    {
        var given = await Given.AnEnvironment(service);
        await given.AFeature();
        await given.Served(1);

        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(75); await Task.Delay(250))
        {
            (await service.As(null).Get("/health/ready")).Must(200);
            var flags = (await given.Sdk.Get("/api/v1/flags/")).Must(200);
            flags.Headers.Contains("Snapshot-Age").ShouldBeFalse($"after {clock.Elapsed}");
        }
    }
}
