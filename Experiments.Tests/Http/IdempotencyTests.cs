namespace Experiments.Tests.Http;

public class IdempotencyTests(TestService service) : IClassFixture<TestService>
{
    private static (string, string) Key(string key) => ("Idempotency-Key", key);

    private static bool IsReplay(Reply reply) =>
        reply.Headers.TryGetValues("Idempotent-Replayed", out var values) && values.Single() == "true";

    [Fact]
    public async Task The_same_request_gets_the_first_answer_again()
    {
        var given = await Given.AnEnvironment(service);

        var first = (await given.Admin.Post(given.Features, new { name = "once" }, Key("k1"))).Must(201);
        var second = (await given.Admin.Post(given.Features.TrimEnd('/'), new { name = "once" }, Key("k1"))).Must(201);

        IsReplay(first).ShouldBeFalse();
        IsReplay(second).ShouldBeTrue();
        second.Text.ShouldBe(first.Text);
        second.ETag.ShouldBe(first.ETag);
        second.Headers.Location.ShouldBe(first.Headers.Location);
        (await given.Admin.Get(given.Features))["count"].GetValue<int>().ShouldBe(1);
        (await given.Audit("feature", first.Id)).ShouldBe(["feature.created"]);
    }

    [Fact]
    public async Task Another_request_under_the_same_key_is_422()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post(given.Features, new { name = "once" }, Key("k1"))).Must(201);

        (await given.Admin.Post(given.Features, new { name = "twice" }, Key("k1"))).MustBe(422, "idempotency_key.reused");
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "once" }, Key("k1"))).MustBe(422, "idempotency_key.reused");

        (await given.Admin.Get(given.Features))["count"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_key_belongs_to_its_caller_and_its_environment()
    {
        var given = await Given.AnEnvironment(service);
        var sibling = await given.Sibling();
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "frank" })).Must(201);

        (await given.Admin.Post(given.Features, new { name = "a" }, Key("k1"))).Must(201);
        (await given.Admin.Post(sibling.Features, new { name = "b" }, Key("k1"))).Must(201);
        (await service.AsUser("frank").Post(given.Features, new { name = "c" }, Key("k1"))).Must(201);
    }

    [Fact]
    public async Task An_action_is_repeated_without_being_done_twice()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        var first = (await given.Act(experiment.Id, "start", null, Key("start"))).Must(200);
        var second = (await given.Act(experiment.Id, "start", null, Key("start"))).Must(200);

        second.Text.ShouldBe(first.Text);
        IsReplay(second).ShouldBeTrue();
        (await given.Act(experiment.Id, "start")).MustBe(409, "experiment.illegal_transition");
        (await given.Audit("experiment", experiment.Id)).ShouldBe(["experiment.created", "experiment.started"]);
    }

    [Fact]
    public async Task A_conflict_is_kept_and_a_request_that_was_wrong_is_not()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();

        (await given.Act(experiment.Id, "pause", null, Key("k1"))).MustBe(409, "experiment.illegal_transition");
        (await given.Act(experiment.Id, "start")).Must(200);
        IsReplay((await given.Act(experiment.Id, "pause", null, Key("k1"))).MustBe(409, "experiment.illegal_transition")).ShouldBeTrue();

        (await given.Admin.Post(given.Features, new { name = "" }, Key("k2"))).MustName("name");
        (await given.Admin.Post(given.Features, new { name = "corrected" }, Key("k2"))).Must(201);
    }

    [Fact]
    public async Task Twenty_twins_at_once_do_it_once_and_all_get_its_answer()
    {
        var given = await Given.AnEnvironment(service);

        var replies = await Task.WhenAll(
            Enumerable.Range(0, 20).Select(_ => given.Admin.Post(given.Features, new { name = "twin" }, Key("k1")))
        );

        replies.ShouldAllBe(reply => reply.Code == 201);
        replies.Select(reply => reply.Text).Distinct().Count().ShouldBe(1);
        replies.Count(reply => !IsReplay(reply)).ShouldBe(1);
        (await given.Admin.Get(given.Features))["count"].GetValue<int>().ShouldBe(1);
    }

    [Fact]
    public async Task A_key_is_free_again_after_a_day()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post(given.Features, new { name = "today" }, Key("k1"))).Must(201);
        await service.Execute(
            "UPDATE idempotency_keys SET created_at = created_at - interval '25 hours' WHERE scope = @Key",
            new { given.Key }
        );

        IsReplay((await given.Admin.Post(given.Features, new { name = "tomorrow" }, Key("k1"))).Must(201)).ShouldBeFalse();
        IsReplay((await given.Admin.Post(given.Features, new { name = "tomorrow" }, Key("k1"))).Must(201)).ShouldBeTrue();
    }

    [Fact]
    public async Task A_secret_is_replayed_to_its_owner_and_readable_nowhere()
    {
        var given = await Given.AnEnvironment(service);

        var first = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci" }, Key("a-key-of-the-client"))).Must(201);
        var second = (await given.Admin.Post($"{given.Root}/api-keys/", new { name = "ci" }, Key("a-key-of-the-client"))).Must(201);

        second["key"].GetValue<string>().ShouldBe(first["key"].GetValue<string>());
        (
            await service.Query<long>(
                """
                SELECT count(*) FROM idempotency_keys k
                WHERE k.scope = @Key AND (position(convert_to(@secret, 'UTF8') IN body) > 0 OR k::text LIKE '%a-key-of-the-client%'
                    OR k::text LIKE '%' || @secret || '%')
                """,
                new { given.Key, secret = first["key"].GetValue<string>() }
            )
        ).ShouldBe(0);
    }

    [Fact]
    public async Task However_the_scheme_is_spelt_it_is_the_same_caller()
    {
        var given = await Given.AnEnvironment(service);

        var first = (await service.As($"Api-Key {TestService.AdminKey}").Post(given.Features, new { name = "once" }, Key("k1"))).Must(201);
        var second = (await service.As($"api-key  {TestService.AdminKey}").Post(given.Features, new { name = "once" }, Key("k1"))).Must(
            201
        );

        second.Text.ShouldBe(first.Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("\u007f")]
    public async Task What_cannot_be_a_key_is_refused(string key)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Post(given.Features, new { name = "x" }, Key(key))).MustName("Idempotency-Key");
        (await given.Admin.Post(given.Features, new { name = "x" }, Key(new string('k', 256)))).MustName("Idempotency-Key");
        (await given.Admin.Get(given.Features))["count"].GetValue<int>().ShouldBe(0);
    }
}
