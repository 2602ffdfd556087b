using System.Text.Json.Nodes;

namespace Experiments.Tests.Evaluation;

/// <summary>Traits that an environment keeps by name.</summary>
public class KeptTraitTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task Nothing_is_kept_unless_an_environment_allows_it_by_name()
    {
        var given = await Given.AnEnvironment(service);
        (await Environment(given))["kept_traits"].AsArray().ShouldBeEmpty();
        await Identify(given, "u", ("plan", "pro"));
        await Keep(given, "plan", "visits");

        await Identify(given, "u", ("plan", "free"), ("secret", "s"), ("visits", 3));
        await Identify(given, "v", ("secret", "s"));

        await Kept(given, "u", """{"plan": "free", "visits": 3}""");
        await Kept(given, "v", "{}");
    }

    [Fact]
    public async Task Every_way_to_send_one_is_taken_and_numbers_add_up()
    {
        var given = await Given.AnEnvironment(service);
        await Keep(given, "plan", "visits", "vip", "city");

        (
            await given.Sdk.PostText("/api/v1/traits/", """{"identity": {"identifier": 7}, "trait_key": "plan", "trait_value": "pro"}""")
        ).Must(200);
        (
            await given.Sdk.Send(
                HttpMethod.Put,
                "/api/v1/traits/bulk/",
                Client.Bytes("""[{"identity": {"identifier": "7"}, "trait_key": "vip", "trait_value": true}]"""u8.ToArray())
            )
        ).Must(200);
        (
            await given.Sdk.PostText(
                "/api/v1/bulk-identities/",
                """{"data": [{"identifier": "7", "traits": [{"trait_key": "city", "trait_value": "Bern"}]}]}"""
            )
        ).Must(200);
        foreach (var by in new[] { "2", "0.5", "\"much\"" })
        {
            (
                await given.Sdk.PostText(
                    "/api/v1/traits/increment-value/",
                    $$"""{"identifier": "7", "trait_key": "visits", "increment_by": {{by}}}"""
                )
            ).Must(200);
        }

        await Kept(given, "7", """{"city": "Bern", "plan": "pro", "vip": true, "visits": 2.5}""");
        (await given.Sdk.PostText("/api/v1/traits/", """{"identity": {"identifier": 7}, "trait_key": "city", "trait_value": null}""")).Must(
            200
        );
        await Kept(given, "7", """{"plan": "pro", "vip": true, "visits": 2.5}""");
    }

    [Fact]
    public async Task What_is_transient_or_odd_is_answered_and_not_kept()
    {
        var given = await Given.AnEnvironment(service);
        await Keep(given, "plan");

        foreach (
            var body in new[]
            {
                """{"identifier": "u", "traits": [{"trait_key": "plan", "trait_value": "pro", "transient": true}]}""",
                """{"identifier": "u", "transient": true, "traits": [{"trait_key": "plan", "trait_value": "pro"}]}""",
                """{"identifier": "u", "traits": [{"trait_key": "plan", "trait_value": ["pro"]}]}""",
                """{"identifier": "u", "traits": [{"trait_key": "plan", "trait_value": {"a": 1}}]}""",
                $$"""{"identifier": "u", "traits": [{"trait_key": "plan", "trait_value": "{{new string('x', 2001)}}"}]}""",
                """{"traits": [{"trait_key": "plan", "trait_value": "pro"}]}""",
            }
        )
        {
            (await given.Sdk.PostText("/api/v1/identities/", body)).Must(200);
        }

        await Identify(given, "last", ("plan", "pro"));
        await Kept(given, "last", """{"plan": "pro"}""");
        await Kept(given, "u", "{}");
    }

    [Fact]
    public async Task They_go_with_the_identity_and_with_the_permission()
    {
        var given = await Given.AnEnvironment(service);
        await Keep(given, "plan", "city");
        await Identify(given, "u", ("plan", "pro"), ("city", "Bern"));
        await Identify(given, "v", ("plan", "pro"), ("city", "Bern"));
        await Kept(given, "v", """{"city": "Bern", "plan": "pro"}""");

        await Keep(given, "plan");
        await Kept(given, "u", """{"plan": "pro"}""");
        (await given.Admin.Post($"/api/v1/environments/{given.Key}/identities/erase/", new { identifier = "u" })).Must(200);

        await Kept(given, "u", "{}");
        await Kept(given, "v", """{"plan": "pro"}""");
        (
            await service.QueryAll<string>(
                "SELECT identifier FROM identity_traits t JOIN environments e ON e.id = t.environment_id WHERE e.key = @Key ORDER BY 1",
                new { given.Key }
            )
        ).ShouldBe(["probe", "v"]);
    }

    [Fact]
    public async Task The_list_is_short_and_its_keys_are_different()
    {
        var given = await Given.AnEnvironment(service);
        var path = await Path(given);

        foreach (
            var keys in new object?[]
            {
                Enumerable.Range(0, 21).Select(n => $"k{n}").ToArray(),
                new[] { "a", "a" },
                new[] { "" },
                new[] { new string('k', 201) },
                new string?[] { null },
                new[] { "a\0" },
                null,
            }
        )
        {
            (await given.Admin.Patch(path, new { kept_traits = keys }))
                .MustBe(400, "request.invalid")
                .Fields.ShouldHaveSingleItem()
                .ShouldStartWith("kept_traits");
        }

        (await Environment(given))["kept_traits"].AsArray().ShouldBeEmpty();
        (await given.Admin.Patch(path, new { name = "renamed" })).Must(200)["kept_traits"].AsArray().ShouldBeEmpty();
    }

    private static async Task<string> Path(Given given)
    {
        var (project, id) = await given.Service.Query<(long, long)>(
            "SELECT project_id, id FROM environments WHERE key = @Key",
            new { given.Key }
        );
        return $"/api/v1/projects/{project}/environments/{id}/";
    }

    private static async Task<Reply> Environment(Given given) => (await given.Admin.Get(await Path(given))).Must(200);

    // What is served follows within a moment.
    private static async Task Keep(Given given, params string[] keys)
    {
        (await given.Admin.Patch(await Path(given), new { kept_traits = keys })).Must(200);
        await Given.Eventually(async () =>
        {
            await Identify(given, "probe", [.. keys.Select(key => (key, (object)"x"))]);
            await Task.Delay(300);
            return (await Export(given, "probe"))["traits"].AsObject().Select(trait => trait.Key).Order().SequenceEqual(keys.Order());
        });
    }

    private static async Task Identify(Given given, string identifier, params (string Key, object Value)[] traits) =>
        (
            await given.Sdk.Post(
                "/api/v1/identities/",
                new { identifier, traits = traits.Select(trait => new { trait_key = trait.Key, trait_value = trait.Value }) }
            )
        ).Must(200);

    private static async Task<Reply> Export(Given given, string identifier) =>
        (await given.Admin.Post($"/api/v1/environments/{given.Key}/identities/export/", new { identifier })).Must(200);

    private static Task Kept(Given given, string identifier, string traits) =>
        Given.Eventually(async () => JsonNode.DeepEquals((await Export(given, identifier))["traits"], JsonNode.Parse(traits)));
}
