using System.Diagnostics;

namespace Experiments.Tests.Experiments;

public class ListExperimentsTests(TestService service) : IClassFixture<TestService>
{
    [Fact]
    public async Task An_empty_environment_has_an_empty_first_page()
    {
        var given = await Given.AnEnvironment(service);

        var list = (await given.Admin.Get(given.Experiments)).Must(200);

        list.Json!.ToJsonString()
            .ShouldBe(
                """{"count":0,"next":null,"previous":null,"status_counts":{"created":"""
                    + """0,"running":0,"paused":0,"completed":0},"results":[]}"""
            );
    }

    [Fact]
    public async Task Pages_are_newest_first_and_link_to_each_other()
    {
        var given = await Given.AnEnvironment(service);
        var ids = new List<long>();
        for (var number = 0; number < 5; number++)
        {
            ids.Insert(0, (await given.AnExperiment()).Id);
        }

        var first = (await given.Admin.Get($"{given.Experiments}?page_size=2")).Must(200);
        var second = (await given.Admin.Get(new Uri(first["next"].GetValue<string>()).PathAndQuery)).Must(200);
        var third = (await given.Admin.Get(new Uri(second["next"].GetValue<string>()).PathAndQuery)).Must(200);

        first["count"].GetValue<int>().ShouldBe(5);
        first["next"].GetValue<string>().ShouldStartWith(service.Address.ToString());
        first.Json!["previous"].ShouldBeNull();
        new[] { first, second, third }.SelectMany(Ids).ShouldBe(ids);
        third.Json!["next"].ShouldBeNull();
        new Uri(third["previous"].GetValue<string>()).Query.ShouldContain("page=2");
        first["results"][0]!.ToJsonString().ShouldBe((await given.Admin.Get($"{given.Experiments}{ids[0]}/")).Json!.ToJsonString());
    }

    [Fact]
    public async Task Statuses_filter_the_page_but_not_the_counts()
    {
        var given = await Given.AnEnvironment(service);
        var created = await given.AnExperimentThatIs("created");
        var running = await given.AnExperimentThatIs("running");
        var paused = await given.AnExperimentThatIs("paused");
        await given.AnExperimentThatIs("completed");

        var list = (await given.Admin.Get($"{given.Experiments}?status=running&status=paused&status=running")).Must(200);

        Ids(list).ShouldBe([paused.Id, running.Id]);
        list["count"].GetValue<int>().ShouldBe(2);
        list["status_counts"].ToJsonString().ShouldBe("""{"created":1,"running":1,"paused":1,"completed":1}""");
        Ids((await given.Admin.Get($"{given.Experiments}?status=created")).Must(200)).ShouldBe([created.Id]);
    }

    [Theory]
    [InlineData("CHECKOUT", 1)]
    [InlineData("100%", 1)]
    [InlineData("%", 1)]
    [InlineData("_", 1)]
    [InlineData("\\", 1)]
    [InlineData("'; DROP TABLE experiments; --", 0)]
    [InlineData("flag of", 3)]
    [InlineData("  ", 3)]
    public async Task The_search_is_literal_and_ignores_case(string q, int expected)
    {
        var given = await Given.AnEnvironment(service);
        foreach (var (index, name) in new[] { "Checkout 100% off", "snake_case", @"back\slash" }.Index())
        {
            var feature = (
                await given.Admin.Post(
                    given.Features,
                    new { name = $"Flag of {index}", multivariate_options = new[] { new { key = "a", value = 1 } } }
                )
            )
                .Must(201)
                .Id;
            (
                await given.Admin.Post(
                    given.Experiments,
                    new
                    {
                        name,
                        hypothesis = "h",
                        feature,
                    }
                )
            ).Must(201);
        }

        var list = (await given.Admin.Get($"{given.Experiments}?q={Uri.EscapeDataString(q)}")).Must(200);

        list["count"].GetValue<int>().ShouldBe(expected);
        list["status_counts"]["created"]!.GetValue<int>().ShouldBe(expected);
    }

    [Theory]
    [InlineData("?status=garbage", "status[0]")]
    [InlineData("?status=running&status=", "status[1]")]
    [InlineData("?page=0", "page")]
    [InlineData("?page=-1", "page")]
    [InlineData("?page=two", "page")]
    [InlineData("?page=1&page=2", "page")]
    [InlineData("?page_size=0", "page_size")]
    [InlineData("?page_size=101", "page_size")]
    [InlineData("?page_size=99999999999999999999", "page_size")]
    [InlineData("?archived=maybe", "archived")]
    [InlineData("?q=a%00b", "q")]
    public async Task A_question_that_breaks_a_rule_is_named(string query, string field)
    {
        var given = await Given.AnEnvironment(service);

        (await given.Admin.Get(given.Experiments + query)).MustName(field);
    }

    [Theory]
    [InlineData("2")]
    [InlineData("9223372036854775807")]
    [InlineData("99999999999999999999999")]
    public async Task A_page_beyond_the_last_is_not_found(string page)
    {
        var given = await Given.AnEnvironment(service);
        await given.AnExperiment();

        (await given.Admin.Get($"{given.Experiments}?page={page}")).MustBe(404, "page.not_found");
    }

    [Fact]
    public async Task Archived_experiments_are_listed_apart_and_deleted_ones_not_at_all()
    {
        var given = await Given.AnEnvironment(service);
        var archived = await given.AnExperimentThatIs("completed");
        (await given.Admin.Patch($"{given.Experiments}{archived.Id}/", new { archived = true })).Must(200);
        var deleted = await given.AnExperiment();
        (await given.Admin.Delete($"{given.Experiments}{deleted.Id}/")).Must(204);
        var kept = await given.AnExperiment();

        Ids((await given.Admin.Get(given.Experiments)).Must(200)).ShouldBe([kept.Id]);
        Ids((await given.Admin.Get($"{given.Experiments}?archived=true")).Must(200)).ShouldBe([archived.Id]);
    }

    [Fact]
    public async Task A_list_is_narrowed_by_feature_and_by_who_made_it_and_comes_in_any_order()
    {
        var given = await Given.AnEnvironment(service);
        (await given.Admin.Post($"{given.Root}/admins/", new { subject = "ann", role = "editor" })).Must(201);
        var ids = new List<long>();
        foreach (var (name, caller) in new[] { ("beta", given.Admin), ("Alpha", service.AsUser("ann")), ("gamma", given.Admin) })
        {
            ids.Add((
                    await caller.Post(
                        given.Experiments,
                        new
                        {
                            name,
                            hypothesis = "h",
                            feature = (await given.AFeature()).Id,
                        }
                    )
                ).Must(201).Id);
        }

        (await given.Act(ids[1], "start")).Must(200);
        var feature = (await given.Admin.Get($"{given.Experiments}{ids[2]}/"))["feature"]["id"];

        (await Names("created_by=ann")).ShouldBe(["Alpha"]);
        (await Names($"feature={feature}")).ShouldBe(["gamma"]);
        (await Names($"feature={feature}&created_by=ann")).ShouldBeEmpty();
        (await Names("ordering=created_at")).ShouldBe(["beta", "Alpha", "gamma"]);
        (await Names("ordering=-created_at")).ShouldBe(["gamma", "Alpha", "beta"]);
        (await Names("ordering=name")).ShouldBe(["Alpha", "beta", "gamma"]);
        (await Names("ordering=-name")).ShouldBe(["gamma", "beta", "Alpha"]);
        (await Names("ordering=-updated_at"))[0].ShouldBe("Alpha");
        (await Names("ordering=updated_at"))[^1].ShouldBe("Alpha");
        (await Names("ordering=-started_at"))[0].ShouldBe("Alpha");
        (await Names("ordering=name&page_size=1&page=2")).ShouldBe(["beta"]);
        (await given.Admin.Get($"{given.Experiments}?ordering=size&feature=x")).MustName("feature", "ordering");

        async Task<string[]> Names(string query) =>
            [
                .. (await given.Admin.Get($"{given.Experiments}?{query}"))
                    .Must(200)["results"]
                    .AsArray()
                    .Select(one => one!["name"]!.GetValue<string>()),
            ];
    }

    [Fact]
    public async Task A_list_costs_as_many_statements_for_a_hundred_rows_as_for_one()
    {
        var given = await Given.AnEnvironment(service);
        await given.AnExperiment();
        Reply? list = null;
        var one = await Fewest(async () => list = await given.Admin.Get($"{given.Experiments}?page_size=100"));
        list!.Must(200)["results"].AsArray().Count.ShouldBe(1);
        await service.Execute(
            """
            INSERT INTO features (project_id, name, options)
            SELECT project_id, name || n, options FROM environment_features f, generate_series(1, 99) n
            WHERE environment_id = (SELECT id FROM environments WHERE key = @Key);
            INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by)
            SELECT f.environment_id, f.id, 'n', 'h', variants_of(f.initial_value, f.multivariate_options, NULL), 'test'
            FROM environment_features f
            WHERE environment_id = (SELECT id FROM environments WHERE key = @Key) AND NOT EXISTS (SELECT FROM experiments e
                WHERE e.feature_id = f.id)
            """,
            new { given.Key }
        );

        var hundred = await Fewest(async () => list = await given.Admin.Get($"{given.Experiments}?page_size=100"));
        list!.Must(200)["results"].AsArray().Count.ShouldBe(100);
        hundred.ShouldBe(one);
    }

    private static IEnumerable<long> Ids(Reply list) => list["results"].AsArray().Select(item => item!["id"]!.GetValue<long>());

    // Who asks is remembered for some seconds, and looked up once more after that: the fewest of three is the list's own.
    private static async Task<int> Fewest(Func<Task> act)
    {
        var fewest = int.MaxValue;
        for (var attempt = 0; attempt < 3; attempt++)
        {
            fewest = Math.Min(fewest, await Statements(act));
        }

        return fewest;
    }

    // Counted at the driver: one activity a statement.
    private static async Task<int> Statements(Func<Task> act)
    {
        var count = 0;
        using var parent = new Activity("count").Start();
        var trace = parent.TraceId;
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Npgsql",
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                options.TraceId == trace ? ActivitySamplingResult.AllData : ActivitySamplingResult.None,
            ActivityStopped = _ => Interlocked.Increment(ref count),
        };
        ActivitySource.AddActivityListener(listener);
        await act();
        count.ShouldBeGreaterThan(0);
        return count;
    }
}
