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
    public async Task Whoever_guesses_keys_is_told_and_keys_that_are_in_use_go_on_working()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Get(given.Features)).Must(200);

        var guesses = new List<Reply>();
        for (var guess = 0; guess < 60; guess++)
        {
            guesses.Add(await service.As($"{(guess % 2 == 0 ? "Api-Key exp_guess" : "Bearer ey")}{guess}").Get(given.Features));
        }

        guesses.Take(20).ShouldAllBe(reply => reply.Code == 401);
        // Not even a good key is looked up then, unless it was in use here.
        var fresh = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "fresh" })).Must(201)["key"].GetValue<string>();
        var tries = new List<int>();
        for (var attempt = 0; attempt < 40; attempt++)
        {
            tries.Add((await service.As($"Api-Key exp_guess-again-{attempt}").Get(given.Features)).Code);
        }

        tries.Count(code => code == 429).ShouldBeGreaterThan(20);
        await Given.Eventually(async () => (await service.As($"Api-Key {fresh}").Get(given.Features)).Code == 200);
        guesses[^1].MustBe(429, "request.too_many").Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(1));
        // When it is no longer remembered, it is looked up again.
        await Task.Delay(TimeSpan.FromSeconds(1));
        (await given.Admin.Get(given.Features)).Must(200);
        await Given.Eventually(async () => (await service.As("Api-Key exp_another").Get(given.Features)).Code == 401);
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
