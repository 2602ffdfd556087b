namespace Experiments.Tests.Tenants;

public class IsolationTests(TestService service) : IClassFixture<TestService>
{
    public static TheoryData<string, string, string?> Everything =>
        new()
        {
            { "GET", "experiments/{experiment}/", null },
            { "PATCH", "experiments/{experiment}/", """{"name": "x"}""" },
            { "DELETE", "experiments/{experiment}/", null },
            { "POST", "experiments/{experiment}/start/", null },
            { "POST", "experiments/{experiment}/pause/", null },
            { "POST", "experiments/{experiment}/complete/", """{"ship": "green"}""" },
            { "GET", "features/{feature}/", null },
            { "PATCH", "features/{feature}/", """{"name": "x"}""" },
            { "DELETE", "features/{feature}/", null },
            { "DELETE", "admins/{admin}/", null },
            { "DELETE", "api-keys/{key}/", null },
        };

    [Theory]
    [MemberData(nameof(Everything))]
    public async Task Another_environments_objects_are_as_good_as_none(string method, string path, string? body)
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        var experiment = await theirs.AnExperiment();
        var ids = new Dictionary<string, long>
        {
            ["{experiment}"] = experiment.Id,
            ["{feature}"] = experiment["feature"]["id"]!.GetValue<long>(),
            ["{admin}"] = (await theirs.Admin.Post($"{theirs.Root}/admins/", new { subject = "carol" })).Must(201).Id,
            ["{key}"] = (await theirs.Admin.Post($"{theirs.Root}/api-keys/", new { name = "ci" })).Must(201).Id,
        };
        var before = await Snapshot();
        string Path(long? id) => ids.Aggregate($"{ours.Root}/{path}", (text, pair) => text.Replace(pair.Key, $"{id ?? pair.Value}"));

        var foreign = await ours.Admin.Send(
            new HttpMethod(method),
            Path(null),
            body is null ? null : Client.Bytes(System.Text.Encoding.UTF8.GetBytes(body))
        );
        var missing = await ours.Admin.Send(
            new HttpMethod(method),
            Path(987_654_321),
            body is null ? null : Client.Bytes(System.Text.Encoding.UTF8.GetBytes(body))
        );

        foreign.Must(404);
        foreign.Problem.ShouldBe(missing.Problem);
        foreign["detail"].GetValue<string>().ShouldBe(missing["detail"].GetValue<string>());
        (await Snapshot()).ShouldBe(before);
    }

    [Fact]
    public async Task Lists_and_the_log_show_nothing_of_another_environment()
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        var experiment = await theirs.AnExperiment();
        await theirs.Admin.Post($"{theirs.Root}/admins/", new { subject = "carol" });
        await theirs.Admin.Post($"{theirs.Root}/api-keys/", new { name = "ci" });

        foreach (var list in new[] { "experiments/", "features/", "admins/", "api-keys/" })
        {
            (await ours.Admin.Get($"{ours.Root}/{list}")).Must(200)["count"].GetValue<int>().ShouldBe(0, list);
        }

        (await ours.Admin.Get($"{ours.Root}/audit/?object_type=experiment&object_id={experiment.Id}"))["count"].GetValue<int>().ShouldBe(0);
    }

    [Fact]
    public async Task An_environment_of_others_and_one_that_does_not_exist_are_told_apart_by_nothing()
    {
        var theirs = await Given.AnEnvironment(service);
        var stranger = service.AsUser("stranger");

        var existing = (await stranger.Get(theirs.Experiments)).MustBe(403, "access.denied");
        var missing = (await stranger.Get("/api/v1/environments/nowhere/experiments/")).MustBe(403, "access.denied");
        var malformed = (await stranger.PostText(theirs.Experiments, "{not json", "text/plain")).MustBe(403, "access.denied");

        existing["detail"].GetValue<string>().ShouldBe(missing["detail"].GetValue<string>());
        malformed.Fields.ShouldBeEmpty();
        (await service.Admin.Get("/api/v1/environments/nowhere/experiments/")).MustBe(403, "access.denied");
    }

    private Task<string> Snapshot() =>
        service.Query<string>(
            """
            SELECT md5(concat((SELECT string_agg(e::text, ',' ORDER BY id) FROM experiments e), (SELECT string_agg(f::text, ',' ORDER BY id)
                FROM features f),
                              (SELECT string_agg(a::text, ',' ORDER BY id) FROM admins a), (SELECT string_agg(k::text, ',' ORDER BY id)
                                  FROM api_keys k),
                              (SELECT count(*) FROM audit_log)))
            """
        );
}
