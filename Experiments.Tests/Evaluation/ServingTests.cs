using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Evaluation;

public class ServingTests(TestService service) : IClassFixture<TestService>
{
    private const string Evaluate = "/ofrep/v1/evaluate/flags";

    [Fact]
    public async Task A_flag_without_an_experiment_serves_its_own_value()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();
        await given.Enable(feature);

        var flags = (await given.Sdk.Get("/api/v1/flags/")).Must(200);
        var flag = flags.Json!.AsArray().ShouldHaveSingleItem()!;
        flag["id"]!.GetValue<long>().ShouldBe(feature.Id);
        flag["enabled"]!.GetValue<bool>().ShouldBeTrue();
        flag["feature_state_value"]!.GetValue<string>().ShouldBe("blue");
        flag["feature"]!.ToJsonString().ShouldBe($$"""{"id":{{feature.Id}},"name":"{{feature["name"]}}","type":"MULTIVARIATE"}""");
        flag["variant"].ShouldBeNull();
        flag["metadata"]!.AsObject().ShouldBeEmpty();

        var evaluation = await given.Evaluate(feature, "user-1");
        evaluation.ToString().ShouldBe($$$"""200 {"key":"{{{feature["name"]}}}","value":"blue","reason":"STATIC","metadata":{}}""");
    }

    [Fact]
    public async Task A_flag_that_is_off_serves_its_own_value_whatever_runs_on_it()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        (await given.Admin.Patch($"{given.Features}{experiment["feature"]["id"]}/", new { enabled = false })).Must(200);
        await given.Served(flag => !flag["enabled"]!.GetValue<bool>());

        var evaluation = await given.Evaluate(experiment["feature"], "user-1");
        evaluation["reason"].GetValue<string>().ShouldBe("DISABLED");
        evaluation["value"].GetValue<string>().ShouldBe("blue");
        evaluation["metadata"]["in_experiment"]!.GetValue<bool>().ShouldBeFalse();
    }

    [Fact]
    public async Task Everyone_in_a_running_experiment_gets_the_variant_that_the_hash_gives()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment("green", "red");
        (
            await given.Admin.Patch(
                $"{given.Experiments}{experiment.Id}/rollout/",
                new
                {
                    rollout_percentage = 60,
                    split = new[]
                    {
                        new { key = "red", weight = 20 },
                        new { key = "control", weight = 50 },
                        new { key = "green", weight = 30 },
                    },
                }
            )
        ).Must(200);
        await given.Start(experiment);
        var salt = await given.Salt(experiment);
        var cumulative = Assignment.Cumulate([50, 30, 20]);
        string[] keys = ["control", "green", "red"];
        var name = experiment["feature"]["name"]!.GetValue<string>();

        for (var n = 0; n < 200; n++)
        {
            var identifier = $"user {n} é";
            var variant = Assignment.Admits(salt, identifier, 60) ? keys[Assignment.Variant(salt, identifier, cumulative)] : null;
            var value = variant is null or "control" ? "blue" : variant;

            var identity = (await given.Sdk.Get($"/api/v1/identities/?identifier={Uri.EscapeDataString(identifier)}")).Must(200);
            identity["identifier"].GetValue<string>().ShouldBe(identifier);
            var flag = identity["flags"].AsArray().ShouldHaveSingleItem()!;
            (flag["variant"]?.GetValue<string>()).ShouldBe(variant);
            flag["feature_state_value"]!.GetValue<string>().ShouldBe(value);
            flag["reason"]!.GetValue<string>().ShouldBe(variant is null ? "STATIC" : "SPLIT");
            flag["metadata"]!["experiment"]!
                .ToJsonString()
                .ShouldBe(
                    $$$"""{"id":{{{experiment.Id}}},"name":"Green button","in_experiment":{{{(variant is null ? "false" : "true")}}}}"""
                );

            var evaluation = await given.Evaluate(experiment["feature"], identifier);
            evaluation["key"].GetValue<string>().ShouldBe(name);
            (evaluation.Json!["variant"]?.GetValue<string>()).ShouldBe(variant);
            evaluation["value"].GetValue<string>().ShouldBe(value);
            evaluation["metadata"]
                .ToJsonString()
                .ShouldBe(
                    $$$"""{"experiment_id":{{{experiment.Id}}},"experiment_name":"Green"""
                        + $$$""" button","in_experiment":{{{(variant is null ? "false" : "true")}}}}"""
                );
        }
    }

    [Fact]
    public async Task Nobody_is_anyone_in_particular_to_the_list_of_flags()
    {
        var given = await Given.AnEnvironment(service);
        await given.Start(await given.AnExperiment());

        var flag = (await given.Sdk.Get("/api/v1/flags")).Must(200).Json!.AsArray().ShouldHaveSingleItem()!;
        flag["variant"].ShouldBeNull();
        flag["metadata"]!["experiment"]!["in_experiment"]!.GetValue<bool>().ShouldBeFalse();
    }

    [Theory]
    [InlineData("pause")]
    [InlineData("complete")]
    public async Task After_a_pause_or_the_end_everyone_gets_the_flags_own_value(string action)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        await given.Start(experiment);
        (await given.Act(experiment.Id, action)).Must(200);
        await given.Served(flag => flag["metadata"]!.AsObject().Count == 0);

        for (var n = 0; n < 20; n++)
        {
            var evaluation = await given.Evaluate(experiment["feature"], $"user-{n}");
            evaluation["value"].GetValue<string>().ShouldBe("blue");
            evaluation["reason"].GetValue<string>().ShouldBe("STATIC");
        }
    }

    [Fact]
    public async Task A_change_is_served_within_a_second()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        (await given.Sdk.Get("/api/v1/flags/")).Must(200);

        (await given.Act(experiment.Id, "start")).Must(200);

        await given.Served(flag => flag["enabled"]!.GetValue<bool>(), TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_change_made_on_one_replica_is_served_by_another_within_a_second()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        var replica = await TestService.Start(service.ConnectionString);
        var sdk = new Client(new Uri(replica.Urls.First()), null).With("X-Environment-Key", given.Key);
        (await sdk.Get("/api/v1/flags/")).Must(200).Json![0]!["enabled"]!.GetValue<bool>().ShouldBeFalse();

        (await given.Act(experiment.Id, "start")).Must(200);

        await Given.Eventually(
            async () => (await sdk.Get("/api/v1/flags/")).Must(200).Json![0]!["enabled"]!.GetValue<bool>(),
            TimeSpan.FromSeconds(1)
        );
        await replica.StopAsync();
        await replica.DisposeAsync();
    }

    [Fact]
    public async Task Values_of_every_kind_come_through_both_protocols()
    {
        var given = await Given.AnEnvironment(service);
        foreach (
            var (name, value) in new[]
            {
                ("text", "\"x\""),
                ("number", "12.5"),
                ("whole", "7"),
                ("yes", "true"),
                ("object", """{"a":[1]}"""),
                ("nothing", "null"),
            }
        )
        {
            (await given.Admin.Post(given.Features, $$"""{"name": "{{name}}", "initial_value": {{value}}, "enabled": true}""")).Must(201);
        }

        await given.Served(flags: 6);
        var flags = (await given.Sdk.Get("/api/v1/flags/"))
            .Json!.AsArray()
            .ToDictionary(flag => flag!["feature"]!["name"]!.GetValue<string>(), flag => flag!["feature_state_value"]?.ToJsonString());
        flags["text"].ShouldBe("\"x\"");
        flags["number"].ShouldBe("12.5");
        flags["whole"].ShouldBe("7");
        flags["yes"].ShouldBe("true");
        JsonNode.Parse(flags["object"]!)!.GetValue<string>().ShouldBe("""{"a":[1]}""");
        flags["nothing"].ShouldBeNull();

        var evaluations = (await given.Sdk.Post(Evaluate, new { context = new { targetingKey = "u" } }))
            .Must(200)["flags"]
            .AsArray()
            .ToDictionary(flag => flag!["key"]!.GetValue<string>(), flag => flag!["value"]?.ToJsonString());
        evaluations["object"].ShouldBe("""{"a":[1]}""");
        evaluations["yes"].ShouldBe("true");
        // It is only on or off, and on.
        evaluations["nothing"].ShouldBe("true");
    }

    [Fact]
    public async Task Traits_come_back_as_they_were_sent()
    {
        var given = await Given.AnEnvironment(service);
        await given.Start(await given.AnExperiment());
        const string Traits =
            """[{"trait_key":"plan","trait_value":"pro"},{"trait_key":"age","trait_value":42},"""
            + """{"trait_key":"vip","trait_value":true,"transient":true}]""";

        var identity = (
            await given.Sdk.Post("/api/v1/identities/", $$"""{"identifier": "user-1", "traits": {{Traits}}, "transient": false}""")
        ).Must(200);
        JsonNode
            .DeepEquals(JsonNode.Parse(identity["traits"].ToJsonString().Replace(",\"transient\":null", "")), JsonNode.Parse(Traits))
            .ShouldBeTrue(identity.Text);
        identity["flags"].ToJsonString().ShouldBe((await given.Sdk.Get("/api/v1/identities/?identifier=user-1"))["flags"].ToJsonString());
    }

    [Theory]
    [InlineData("?identifier=")]
    [InlineData("")]
    [InlineData("?identifier=a&identifier=b")]
    public async Task An_identity_needs_one_identifier(string query)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Sdk.Get("/api/v1/identities/" + query)).MustBe(400, "request.invalid").Fields.ShouldBe(["identifier"]);
    }

    [Fact]
    public async Task An_identifier_has_2000_characters_at_most()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();

        (await given.Sdk.Post("/api/v1/identities/", new { identifier = new string('x', 2000) })).Must(200);
        (await given.Sdk.Post("/api/v1/identities/", new { identifier = string.Concat(Enumerable.Repeat("👩", 2000)) })).Must(200);
        (await given.Sdk.Post("/api/v1/identities/", new { identifier = new string('x', 2001) }))
            .MustBe(400, "request.invalid")
            .Fields.ShouldBe(["identifier"]);
        (await given.Evaluate(feature, new string('x', 2001))).Must(400)["errorCode"].GetValue<string>().ShouldBe("INVALID_CONTEXT");
    }

    [Fact]
    public async Task A_flag_that_does_not_exist_is_not_found_as_the_protocol_has_it()
    {
        var given = await Given.AnEnvironment(service);

        var reply = (await given.Sdk.Post($"{Evaluate}/nothing", new { context = new { targetingKey = "u" } })).Must(404);
        reply["key"].GetValue<string>().ShouldBe("nothing");
        reply["errorCode"].GetValue<string>().ShouldBe("FLAG_NOT_FOUND");
    }

    [Theory]
    [InlineData("", "PARSE_ERROR")]
    [InlineData("nonsense", "PARSE_ERROR")]
    [InlineData("[]", "PARSE_ERROR")]
    [InlineData("""{"context": {"targetingKey": "u"}} x""", "PARSE_ERROR")]
    [InlineData("""{"context": {"targetingKey": "\ud800"}}""", "PARSE_ERROR")]
    [InlineData("{}", "INVALID_CONTEXT")]
    [InlineData("""{"context": null}""", "INVALID_CONTEXT")]
    [InlineData("""{"context": {"targetingKey": [7]}}""", "INVALID_CONTEXT")]
    public async Task What_is_wrong_with_a_context_is_said_as_the_protocol_has_it(string body, string code)
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();
        await given.Served(flags: 1);

        var one = (await given.Sdk.PostText($"{Evaluate}/{feature["name"]}", body)).Must(400);
        one["errorCode"].GetValue<string>().ShouldBe(code);
        one["key"].GetValue<string>().ShouldBe(feature["name"].GetValue<string>());
        one["errorDetails"].GetValue<string>().ShouldNotBeEmpty();
        (await given.Sdk.PostText(Evaluate, body)).Must(400)["errorCode"].GetValue<string>().ShouldBe(code);
    }

    [Fact]
    public async Task What_else_is_in_a_context_does_not_matter()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();
        await given.Served(flags: 1);

        (
            await given.Sdk.PostText(
                $"{Evaluate}/{feature["name"]}",
                """{"other": {"targetingKey": 1}, "context": {"plan": {"targetingKey": 5}, "targetingKey": "u", "list": [{}]}}"""
            )
        ).Must(200);
    }

    [Fact]
    public async Task All_flags_at_once_have_a_tag_that_covers_the_context_and_the_flags()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        object context = new { context = new { targetingKey = "u", plan = "pro" } };
        await given.Served(flags: 1);

        var first = (await given.Sdk.Post(Evaluate, context)).Must(200);
        var etag = first.ETag.ShouldNotBeNull();
        (await given.Sdk.Post(Evaluate, context, ("If-None-Match", etag))).Must(304).Text.ShouldBeEmpty();
        (await given.Sdk.Post(Evaluate, context, ("If-None-Match", $"\"x\", W/{etag}"))).Must(304);
        (await given.Sdk.Post(Evaluate, new { context = new { targetingKey = "u", plan = "free" } }, ("If-None-Match", etag)))
            .Must(200)
            .ETag.ShouldNotBe(etag);
        (await given.Sdk.Post(Evaluate, new { context = new { targetingKey = "v", plan = "pro" } }, ("If-None-Match", etag))).Must(200);

        (await given.Act(experiment.Id, "start")).Must(200);
        await given.Served(flag => flag["enabled"]!.GetValue<bool>(), TimeSpan.FromSeconds(1));
        (await given.Sdk.Post(Evaluate, context, ("If-None-Match", etag))).Must(200).ETag.ShouldNotBe(etag);

        var identities = (await given.Sdk.Get("/api/v1/identities/?identifier=u")).Must(200).ETag!;
        (await given.Sdk.Get("/api/v1/identities/?identifier=u", ("If-None-Match", identities))).Must(304);
        (await given.Sdk.Get("/api/v1/identities/?identifier=v", ("If-None-Match", identities))).Must(200);
    }

    [Fact]
    public async Task A_key_is_needed_and_must_be_known()
    {
        foreach (var path in new[] { "/api/v1/flags/", "/api/v1/identities/?identifier=u" })
        {
            (await service.As(null).Get(path)).MustBe(401, "environment_key.missing");
            (await service.As(null).Get(path, ("X-Environment-Key", "nobodys"))).MustBe(403, "environment_key.unknown");
            (await service.Admin.Get(path)).MustBe(401, "environment_key.missing");
        }

        (await service.As(null).Post($"{Evaluate}/x", new { })).Must(401)["errorCode"].GetValue<string>().ShouldBe("GENERAL");
        (await service.As("Bearer nobodys").Post(Evaluate, new { })).Must(403)["errorDetails"].GetValue<string>().ShouldNotBeEmpty();
    }

    [Fact]
    public async Task OpenFeature_clients_may_send_the_key_where_they_are_used_to()
    {
        var given = await Given.AnEnvironment(service);
        object body = new { context = new { targetingKey = "u" } };

        (await service.As($"Bearer {given.Key}").Post(Evaluate, body)).Must(200);
        (await service.As(null).Post(Evaluate, body, ("X-API-Key", given.Key))).Must(200);
        (await service.As($"Bearer {given.Key}").Get("/api/v1/flags/")).Must(401);
    }

    [Fact]
    public async Task An_environments_key_opens_nothing_else()
    {
        var given = await Given.AnEnvironment(service);

        foreach (var client in new[] { given.Sdk, service.As($"Bearer {given.Key}"), service.As($"Api-Key {given.Key}") })
        {
            (await client.Get(given.Experiments)).Must(401);
            (await client.Post(given.Features, new { name = "x" })).Must(401);
        }
    }

    [Fact]
    public async Task An_environment_sees_only_its_own_flags()
    {
        var given = await Given.AnEnvironment(service);
        var other = await given.Stranger();
        var feature = await other.AFeature();
        await given.AFeature();

        (await given.Sdk.Post($"{Evaluate}/{feature["name"]}", new { context = new { targetingKey = "u" } })).Must(404);
        (await given.Sdk.Get("/api/v1/flags/")).Json!.AsArray().Count.ShouldBe(1);
    }

    [Fact]
    public async Task Browsers_may_ask_from_any_page()
    {
        var given = await Given.AnEnvironment(service);
        var preflight = await service
            .As(null)
            .Send(
                HttpMethod.Options,
                "/api/v1/identities/",
                null,
                ("Origin", "https://shop.example"),
                ("Access-Control-Request-Method", "POST"),
                ("Access-Control-Request-Headers", "content-type,x-environment-key,flagsmith-sdk-user-agent")
            );
        preflight.Must(204).Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
        preflight.Headers.GetValues("Access-Control-Allow-Headers").Single().ShouldContain("x-environment-key");

        var reply = await given.Sdk.Post(Evaluate, new { context = new { targetingKey = "u" } }, ("Origin", "https://shop.example"));
        reply.Must(200).Headers.GetValues("Access-Control-Allow-Origin").ShouldBe(["*"]);
        reply.Headers.GetValues("Access-Control-Expose-Headers").Single().ShouldContain("ETag");
        (await given.Admin.Get(given.Experiments, ("Origin", "https://shop.example")))
            .Headers.Contains("Access-Control-Allow-Origin")
            .ShouldBeFalse();
    }

    [Fact]
    public async Task A_key_that_was_unknown_is_known_soon_after_its_environment_exists()
    {
        var given = await Given.AnEnvironment(service);
        await service.Execute("UPDATE environments SET key = key || '-new' WHERE key = @Key", new { given.Key });
        var client = service.As(null);
        (await client.Get("/api/v1/flags/", ("X-Environment-Key", given.Key))).Must(403);
        await service.Execute("UPDATE environments SET key = @Key WHERE key = @Key || '-new'", new { given.Key });

        await given.AFeature();

        await given.Served(flags: 1);
    }
}
