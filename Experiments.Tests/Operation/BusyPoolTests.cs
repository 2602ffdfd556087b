using Npgsql;

namespace Experiments.Tests.Operation;

public class BusyPoolTests(TestCluster cluster)
{
    [Fact]
    public async Task Requests_that_wait_for_a_lock_take_up_neither_readiness_nor_the_turns_of_other_callers()
    {
        var database = await cluster.NewDatabase();
        await using var app = await TestService.Start($"{database};Maximum Pool Size=6");
        var admin = new Client(new Uri(app.Urls.First()), $"Api-Key {TestService.AdminKey}");
        var project = (await admin.Post("/api/v1/projects/", new { name = "shop", organisation = "acme" })).Must(201);
        var environment = (await admin.Post($"/api/v1/projects/{project.Id}/environments/", new { name = "production" })).Must(201);
        var root = $"/api/v1/environments/{environment["key"]}";
        var options = new[] { new { key = "green", value = 2 } };
        var feature = (
            await admin.Post(
                $"{root}/features/",
                new
                {
                    name = "f",
                    initial_value = 1,
                    multivariate_options = options,
                }
            )
        ).Must(201);
        var experiment = (
            await admin.Post(
                $"{root}/experiments/",
                new
                {
                    name = "e",
                    hypothesis = "h",
                    feature = feature.Id,
                }
            )
        ).Must(201);
        var start = $"{root}/experiments/{experiment.Id}/start/";
        var other = new Client(
            new Uri(app.Urls.First()),
            $"Api-Key {(await admin.Post($"{root}/api-keys/", new { name = "other" })).Must(201)["key"]}"
        );
        await using var source = NpgsqlDataSource.Create(database);
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand("SELECT feature_id FROM feature_states FOR NO KEY UPDATE", connection, transaction);
        await command.ExecuteNonQueryAsync();

        var waiting = Enumerable.Range(0, 20).Select(_ => admin.Post(start)).ToList();
        await Task.Delay(TimeSpan.FromMilliseconds(500));

        for (var probe = 0; probe < 5; probe++)
        {
            (await admin.Get("/health/ready")).Must(200);
            (await other.Get($"{root}/experiments/")).Must(200);
        }

        waiting.ShouldAllBe(request => !request.IsCompleted);
        (await Task.WhenAll(waiting)).ShouldAllBe(reply => reply.Code == 503);
        await transaction.RollbackAsync();
        await app.StopAsync();
    }
}
