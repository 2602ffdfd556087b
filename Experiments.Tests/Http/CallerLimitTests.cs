namespace Experiments.Tests.Http;

/// <summary>One caller that sends too much is told so. Links lead to the address that the operator has named.</summary>
public class CallerLimitTests(CallerLimitTests.Limited service) : IClassFixture<CallerLimitTests.Limited>
{
    public sealed class Limited(TestCluster cluster) : TestService(cluster)
    {
        protected override string[] Settings =>
            ["--Requests:PerSecond=10", "--Requests:FailedSignInsPerMinute=20", "--Requests:PublicAddress=https://experiments.example"];
    }

    [Fact]
    public async Task Whoever_sends_too_many_requests_is_told_and_others_are_served()
    {
        var given = await Given.AnEnvironment(service);
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "wild" })).Must(201)["key"];
        var wild = service.As($"Api-Key {key}");

        var replies = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => wild.Get(given.Features)));

        replies.Count(reply => reply.Code == 200).ShouldBeInRange(20, 40);
        foreach (var refused in replies.Where(reply => reply.Code != 200))
        {
            refused.MustBe(429, "request.too_many").Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(1));
        }

        (await given.Admin.Get(given.Features)).Must(200);
        await Given.Eventually(async () => (await wild.Get(given.Features)).Code == 200);
    }

    [Fact]
    public async Task Links_lead_to_the_address_that_the_operator_has_named()
    {
        var given = await Given.AnEnvironment(service);
        await given.AFeature("a");
        await given.AFeature("b");

        var page = (await given.Admin.Get($"{given.Features}?page_size=1", ("Host", "evil.example"))).Must(200);

        page["next"].GetValue<string>().ShouldBe($"https://experiments.example{given.Features}?page_size=1&page=2");
    }
}
