namespace Experiments.Tests.Http;

public class ConditionTests(TestService service) : IClassFixture<TestService>
{
    [Fact]
    public async Task What_the_client_has_is_not_sent_again()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        foreach (
            var path in new[]
            {
                $"{given.Experiments}{experiment.Id}/",
                given.Experiments,
                given.Features,
                $"{given.Root}/audit/",
                "/api/v1/projects/",
            }
        )
        {
            var etag = (await given.Admin.Get(path)).Must(200).ETag!;
            etag.ShouldMatch("^\"[^\"]+\"$");

            foreach (var known in new[] { etag, $"W/{etag}", $"\"x\", {etag}", "*" })
            {
                var again = (await given.Admin.Get(path, ("If-None-Match", known))).Must(304);
                again.Text.ShouldBeEmpty();
                again.ETag.ShouldBe(etag);
            }

            (await given.Admin.Get(path, ("If-None-Match", "\"x\""))).Must(200);
            (await given.Admin.Get(path, ("If-None-Match", "nonsense"))).Must(200);
        }
    }

    [Fact]
    public async Task An_etag_changes_with_what_it_stands_for_and_only_then()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        var path = $"{given.Experiments}{experiment.Id}/";
        var list = (await given.Admin.Get(given.Experiments)).ETag;

        (await service.AsUser("nobody").Get(path)).Must(403);
        (await given.Admin.Get(path)).ETag.ShouldBe(experiment.ETag);
        (await given.Admin.Patch($"{given.Features}{experiment["feature"]["id"]}/", new { enabled = true })).Must(200);

        (await given.Admin.Get(path)).ETag.ShouldNotBe(experiment.ETag);
        (await given.Admin.Get(given.Experiments)).ETag.ShouldNotBe(list);
    }

    [Theory]
    [InlineData("PATCH", "")]
    [InlineData("DELETE", "")]
    [InlineData("POST", "start/")]
    public async Task A_change_of_what_has_changed_meanwhile_is_refused(string method, string action)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        var path = $"{given.Experiments}{experiment.Id}/";
        var read = experiment.ETag!;
        var current = (await given.Admin.Patch(path, new { name = "meanwhile" })).Must(200).ETag!;
        Task<Reply> Try(string tag) =>
            given.Admin.Send(
                new HttpMethod(method),
                path + action,
                method == "PATCH" ? Client.Bytes("""{"name": "mine"}"""u8.ToArray()) : null,
                ("If-Match", tag)
            );

        (await Try(read)).MustBe(412, "etag.stale");
        (await Try($"W/{current}")).MustBe(412, "etag.stale");
        (await Try("nonsense")).MustName("If-Match");
        (await given.Admin.Get(path))["name"].GetValue<string>().ShouldBe("meanwhile");
        (await Try($"{read}, {current}")).Code.ShouldBeInRange(200, 204);
    }

    [Fact]
    public async Task A_star_matches_whatever_there_is()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();

        (await given.Admin.Patch($"{given.Features}{feature.Id}/", new { enabled = true }, ("If-Match", "*"))).Must(200);
        (await given.Admin.Patch($"{given.Features}{feature.Id}/", new { enabled = false }, ("If-Match", feature.ETag!))).MustBe(
            412,
            "etag.stale"
        );
        (await given.Admin.Delete($"{given.Features}{feature.Id}/", ("If-Match", feature.ETag!))).MustBe(412, "etag.stale");
        (await given.Admin.Delete($"{given.Features}999999/", ("If-Match", "*"))).MustBe(404, "feature.not_found");
    }

    [Fact]
    public async Task What_has_no_version_matches_none()
    {
        var given = await Given.AnEnvironment(service);
        var admin = (await given.Admin.Post($"{given.Root}/admins/", new { subject = "grace" })).Must(201);
        var key = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci" })).Must(201);

        foreach (var path in new[] { $"{given.Root}/admins/{admin.Id}/", $"{given.Root}/api-keys/{key.Id}/" })
        {
            (await given.Admin.Delete(path, ("If-Match", admin.ETag!))).MustBe(412, "etag.stale");
            (await given.Admin.Delete(path, ("If-Match", "*"))).Must(204);
        }
    }

    [Fact]
    public async Task Of_twenty_patches_of_one_version_exactly_one_is_made()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        var replies = await Task.WhenAll(
            Enumerable
                .Range(0, 20)
                .Select(number =>
                    given.Admin.Patch(
                        $"{given.Experiments}{experiment.Id}/",
                        new { name = $"name {number}" },
                        ("If-Match", experiment.ETag!)
                    )
                )
        );

        replies.Count(reply => reply.Code == 200).ShouldBe(1);
        replies.Count(reply => reply.Code == 412).ShouldBe(19);
    }
}
