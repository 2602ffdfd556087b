using Experiments.Api.Aggregation;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Experiments.Tests.Ingestion;

/// <summary>Old events, which are read page by page for metrics that are new.</summary>
public class OldEventTests(TestService service) : IClassFixture<TestService>
{
    [Theory]
    [InlineData(15)]
    [InlineData(70)]
    [InlineData(1_000_000)]
    public async Task Each_is_in_one_page_and_pages_are_about_as_large_as_they_should_be(int size)
    {
        var given = await Given.AnEnvironment(service);
        var now = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await given.Send([
            .. Enumerable
                .Range(0, 300)
                .Select(n => new
                {
                    @event = $"e{n % 3}",
                    identifier = n % 10 == 0 ? null : $"u{n % 60}",
                    id = $"{n}",
                    timestamp = now - (n * 7919 % 300 * 1000),
                }),
        ]);
        var environment = await service.Query<long>("SELECT id FROM environments WHERE key = @Key", new { given.Key });
        var store = service.Services.GetRequiredService<IEventStore>();
        await using var connection = await service.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();

        var (read, pages) = (new List<string>(), new List<int>());
        OldEvents.Place? place = null;
        do
        {
            var before = read.Count;
            place = await store.Page(
                connection,
                new(environment, ["e0", "e2"], DateTime.UtcNow.AddDays(-1), DateTime.UtcNow.AddDays(1), place, size),
                new([], [], []),
                stored => read.Add($"{stored.Event} {stored.Identifier} {stored.Key}"),
                CancellationToken.None
            );
            pages.Add(read.Count - before);
        } while (place is not null);

        read.ShouldBeUnique();
        // Those without an identifier count for nobody, and may be there or not.
        read.Count(one => one.Contains(" u", StringComparison.Ordinal)).ShouldBe(180);
        read.ShouldAllBe(one => !one.StartsWith("e1", StringComparison.Ordinal));
        // By chance, an identity may have many.
        pages.ShouldAllBe(page => page <= size * 8);
        pages.Count.ShouldBeInRange(1, 4 + (16 * 300 / size));
    }
}
