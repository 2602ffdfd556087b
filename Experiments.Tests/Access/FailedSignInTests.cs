namespace Experiments.Tests.Access;

/// <summary>Guesses from one address are limited; keys that are in use there are not.</summary>
public class FailedSignInTests(FailedSignInTests.Limited service) : IClassFixture<FailedSignInTests.Limited>
{
    public sealed class Limited(TestCluster cluster) : TestService(cluster)
    {
        protected override string[] Settings => ["--Requests:FailedSignInsPerMinute=20"];
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
}
