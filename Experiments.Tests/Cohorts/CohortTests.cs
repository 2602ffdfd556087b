using System.Text;
using Experiments.Api.Domain;

namespace Experiments.Tests.Cohorts;

public class CohortTests(SharedService service) : IClassFixture<SharedService>
{
    private static readonly double[] Halves = Assignment.Cumulate([50, 50]);

    [Fact]
    public async Task A_cohort_is_whoever_is_exposed_by_now()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        await Expose(given, experiment, Users(30).Select(user => (user, own(user))));
        var before = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);

        var cohort = (await Create(given, experiment)).Must(201);

        cohort.Headers.Location!.ToString().ShouldBe($"{given.Root}/cohorts/{cohort.Id}/");
        cohort["name"].GetValue<string>().ShouldBe("Users exposed to experiment \"Green button\"");
        cohort["experiment"].GetValue<long>().ShouldBe(experiment.Id);
        cohort.Json!["variant"].ShouldBeNull();
        cohort["count"].GetValue<long>().ShouldBe(30);
        (await Read(given, cohort)).Text.ShouldBe(cohort.Text);
        var shown = (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Must(200);
        shown["exposure_cohort"].GetValue<long>().ShouldBe(cohort.Id);
        shown.ETag.ShouldNotBe(before.ETag);
        (await given.Audit("cohort", cohort.Id)).ShouldBe(["cohort.created"]);

        // One more comes, and one of them turns out to have seen both.
        await Expose(given, experiment, [("late", own("late")), ("user-0", own("user-0") == "green" ? "control" : "green")]);
        (await Read(given, cohort))["count"].GetValue<long>().ShouldBe(30);
        (await Members(given, cohort)).Select(member => member.Identifier).ShouldBe([.. Users(30).Skip(1), "late"], ignoreOrder: true);
        (await Lines(given, cohort)).Select(line => line[0]).ShouldBe([.. Users(30).Skip(1), "late"], ignoreOrder: true);

        (await given.Act(experiment.Id, "reset")).Must(200);
        (await Read(given, cohort))["count"].GetValue<long>().ShouldBe(0);
        (await Members(given, cohort)).ShouldBeEmpty();
        (await Lines(given, cohort)).ShouldBeEmpty();
    }

    [Fact]
    public async Task A_cohort_of_one_variant_has_only_those_who_count_in_it()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var at = await Expose(given, experiment, Users(40).Select(user => (user, own(user))));
        var greens = Users(40).Where(user => own(user) == "green").ToList();

        var cohort = (await Create(given, experiment, new { name = "  Those who saw green  ", variant = "green" })).Must(201);

        cohort["name"].GetValue<string>().ShouldBe("Those who saw green");
        cohort["variant"].GetValue<string>().ShouldBe("green");
        cohort["count"].GetValue<long>().ShouldBe(greens.Count);
        var members = await Members(given, cohort);
        members.Select(member => member.Identifier).ShouldBe(greens, ignoreOrder: true);
        members.ShouldAllBe(member => member.Variant == "green" && member.ExposedAt == at);
        (await Lines(given, cohort)).Select(line => (line[0], line[1])).ShouldBe(greens.Select(user => (user, "green")), ignoreOrder: true);
        (await service.Query<string>("SELECT name || '/' || variant FROM cohorts WHERE id = @Id", new { cohort.Id })).ShouldBe(
            "Those who saw green/green"
        );
    }

    [Fact]
    public async Task An_experiment_has_one_cohort_at_a_time()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        await Expose(given, experiment, Users(3).Select(user => (user, own(user))));

        var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Create(given, experiment)));
        var first = replies.Where(reply => reply.Code == 201).ShouldHaveSingleItem();
        replies.Count(reply => reply.Problem == "cohort.already_exists").ShouldBe(19);
        (await Create(given, experiment, new { variant = "green" })).MustBe(409, "cohort.already_exists");
        (await Count(given)).ShouldBe(1);

        (await given.Admin.Delete(Path(given, first))).Must(204).Text.ShouldBeEmpty();
        (await given.Admin.Delete(Path(given, first))).MustBe(404, "cohort.not_found");
        (await given.Admin.Get(Path(given, first))).MustBe(404, "cohort.not_found");
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).Json!["exposure_cohort"].ShouldBeNull();
        (await given.Audit("cohort", first.Id)).ShouldBe(["cohort.created", "cohort.deleted"]);
        (await given.Exposures(experiment))["total"].GetValue<int>().ShouldBe(3);
        (await Create(given, experiment)).Must(201)["count"].GetValue<long>().ShouldBe(3);
    }

    [Theory]
    [InlineData("created", false)]
    [InlineData("running", true)]
    [InlineData("paused", true)]
    [InlineData("completed", true)]
    public async Task Only_what_has_started_has_a_cohort(string status, bool mayHave)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs(status);

        var reply = await Create(given, experiment);

        (mayHave ? reply.Must(201) : reply.MustBe(409, "experiment.not_started")).Code.ShouldBe(mayHave ? 201 : 409);
        (await Count(given)).ShouldBe(mayHave ? 1 : 0);
    }

    [Theory]
    [InlineData("""{"variant": "purple"}""", "variant")]
    [InlineData("""{"variant": ""}""", "variant")]
    [InlineData("""{"variant": "not a key"}""", "variant")]
    [InlineData("""{"variant": 5}""", "variant")]
    [InlineData("""{"variant": "GREEN"}""", "variant")]
    [InlineData("""{"name": "   "}""", "name")]
    [InlineData("""{"name": ["x"], "variant": {}}""", "name", "variant")]
    [InlineData("""{"name": "a\u0000b"}""", "name")]
    [InlineData("""{"count": 7, "experiment": 1}""", "count", "experiment")]
    public async Task What_breaks_a_rule_is_named_and_nothing_is_written(string body, params string[] fields)
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");

        (await given.Admin.PostText($"{given.Experiments}{experiment.Id}/exposure-cohort/", body)).MustName(fields);

        (await Count(given)).ShouldBe(0);
        (await given.Admin.Get($"{given.Experiments}{experiment.Id}/")).ETag.ShouldBe(experiment.ETag);
    }

    [Fact]
    public async Task A_name_has_four_hundred_characters_at_most_and_a_stale_tag_makes_nothing()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        var emoji = string.Concat(Enumerable.Repeat("🧪", 400));

        (await Create(given, experiment, new { name = emoji + "x" })).MustName("name");
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/exposure-cohort/", null, ("If-Match", "\"0-0\""))).MustBe(
            412,
            "etag.stale"
        );
        (await Count(given)).ShouldBe(0);
        (
            await given.Admin.Post(
                $"{given.Experiments}{experiment.Id}/exposure-cohort/",
                new { name = emoji },
                ("If-Match", experiment.ETag!)
            )
        )
            .Must(201)["name"]
            .GetValue<string>()
            .ShouldBe(emoji);
    }

    [Fact]
    public async Task Cohorts_are_listed_newest_first_and_found_by_their_name()
    {
        var given = await Given.AnEnvironment(service);
        var ids = new List<long>();
        foreach (var name in new[] { "Alpha 100%", "Beta", "ALPHABET" })
        {
            var experiment = await given.AnExperimentThatIs("running");
            ids.Add((await Create(given, experiment, new { name })).Must(201).Id);
        }

        Ids((await given.Admin.Get($"{given.Root}/cohorts/")).Must(200)).ShouldBe([ids[2], ids[1], ids[0]]);
        Ids((await given.Admin.Get($"{given.Root}/cohorts/?q=alpha")).Must(200)).ShouldBe([ids[2], ids[0]]);
        Ids((await given.Admin.Get($"{given.Root}/cohorts/?q=%25")).Must(200)).ShouldBe([ids[0]]);
        var second = (await given.Admin.Get($"{given.Root}/cohorts/?page=2&page_size=2")).Must(200);
        Ids(second).ShouldBe([ids[0]]);
        second["count"].GetValue<int>().ShouldBe(3);
        (await given.Admin.Get($"{given.Root}/cohorts/?page=3&page_size=2")).MustBe(404, "page.not_found");
        (await given.Admin.Get($"{given.Root}/cohorts/?page_size=101")).MustName("page_size");
    }

    [Fact]
    public async Task The_members_come_page_by_page_each_once()
    {
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        await Expose(given, experiment, Users(45).Select(user => (user, own(user))));
        var cohort = (await Create(given, experiment)).Must(201);

        var found = new List<string>();
        for (var next = $"{Path(given, cohort)}members/?page_size=20"; next is not null; )
        {
            var page = (await given.Admin.Get(next)).Must(200);
            page["count"].GetValue<int>().ShouldBe(45);
            found.AddRange(page["results"].AsArray().Select(member => member!["identifier"]!.GetValue<string>()));
            next = page.Json!["next"] is { } link ? new Uri(link.GetValue<string>()).PathAndQuery : null;
        }

        found.ShouldBe(Users(45), ignoreOrder: true);
        (await given.Admin.Get($"{Path(given, cohort)}members/?page=4")).MustBe(404, "page.not_found");
        (await given.Admin.Get($"{Path(given, cohort)}members/?page=0")).MustName("page");
    }

    [Fact]
    public async Task The_export_can_be_read_back_and_holds_no_formula_for_a_spreadsheet()
    {
        string[] identifiers =
        [
            "plain",
            "a,b",
            "say \"hi\"",
            "two\r\nlines",
            "=1+1",
            "+49 30 1234",
            "-7",
            "@SUM(A1)",
            "\tTab",
            "\rReturn",
            "=HYPERLINK(\"http://x\",\"y\")",
            "\n=2",
            " =1",
            "\u00a0+1",
            "＝1",
            "semi;=colon",
            "'quoted'",
            " blank ",
            "Zoë 🧪",
            "\uFEFFmark",
        ];
        var given = await Given.AnEnvironment(service);
        var (experiment, own) = await Running(given);
        var at = await Expose(given, experiment, identifiers.Select(identifier => (identifier, own(identifier))));
        var cohort = (await Create(given, experiment)).Must(201);

        Parse((await given.Admin.Get($"{Path(given, cohort)}export/?spreadsheet=false")).Must(200).Text)[1..]
            .Select(line => line[0])
            .ShouldBe(identifiers, ignoreOrder: true);
        (await given.Admin.Get($"{Path(given, cohort)}export/?spreadsheet=yes")).MustName("spreadsheet");
        var export = (await given.Admin.Get($"{Path(given, cohort)}export/")).Must(200);

        export.ContentHeaders.ContentType!.ToString().ShouldBe("text/csv; charset=utf-8");
        export.ContentHeaders.ContentDisposition!.ToString().ShouldBe($"attachment; filename=\"cohort-{cohort.Id}.csv\"");
        export.Headers.CacheControl!.NoStore.ShouldBeTrue();
        export.Text.ShouldStartWith("identifier,variant,exposed_at\r\n");
        export.Text.ShouldEndWith("\r\n");
        var lines = Parse(export.Text)[1..];
        lines
            .Select(line => (line[0], line[1]))
            .ShouldBe(identifiers.Select(identifier => (Harmless(identifier), own(identifier))), ignoreOrder: true);
        lines.ShouldAllBe(line => line.Count == 3 && line[2] == $"{at:yyyy-MM-ddTHH:mm:ss.fffZ}");
        export.Text.ShouldContain("\"semi;=colon\"");

        static string Harmless(string text) =>
            text[0] is '\t' or '\r' or '\n' || (text.Trim() is [var first, ..] && "=+-@＝".Contains(first)) ? "'" + text : text;
    }

    [Fact]
    public async Task An_export_of_several_pieces_has_everybody_exactly_once()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperimentThatIs("running");
        var cohort = (await Create(given, experiment)).Must(201);
        // Control fills two pieces exactly; those who are excluded and those who are held out are no members.
        await service.Execute(
            """
            INSERT INTO exposures (experiment_id, identity, identifier, assigned_variants, shown_variants, seen_at, first_shown,
                enrolled_at, counts_in)
            SELECT @Id, md5(@Id || '-' || n)::uuid, 'user-' || n, 1 << place, 1 << place, now(), place, now(), CASE n WHEN 32002 THEN NULL
                WHEN 32003 THEN -1 ELSE place END
            FROM (SELECT n, (CASE WHEN n <= 20000 THEN 0 ELSE 1 END)::smallint AS place FROM generate_series(1, 32003) n) numbered
            """,
            new { experiment.Id }
        );

        var lines = await Lines(given, cohort);

        lines.Count.ShouldBe(32_001);
        lines.Select(line => line[0]).ToHashSet().SetEquals(Enumerable.Range(1, 32_001).Select(n => $"user-{n}")).ShouldBeTrue();
        lines.Count(line => line[1] == "control").ShouldBe(20_000);
        lines.Count(line => line[1] == "green").ShouldBe(12_001);
    }

    [Theory]
    [InlineData("GET", "cohorts/{cohort}/", null)]
    [InlineData("DELETE", "cohorts/{cohort}/", null)]
    [InlineData("GET", "cohorts/{cohort}/members/", null)]
    [InlineData("GET", "cohorts/{cohort}/export/", null)]
    [InlineData("POST", "experiments/{experiment}/exposure-cohort/", null)]
    [InlineData("POST", "experiments/{experiment}/exposure-cohort/", """{"variant": 5}""")]
    public async Task A_cohort_of_another_environment_is_as_good_as_none(string method, string path, string? body)
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        var (experiment, own) = await Running(theirs);
        await Expose(theirs, experiment, [("user-1", own("user-1"))]);
        var cohort = (await Create(theirs, experiment)).Must(201);
        Task<Reply> Ask(long? id) =>
            ours.Admin.Send(
                new HttpMethod(method),
                $"{ours.Root}/{path}".Replace("{cohort}", $"{id ?? cohort.Id}").Replace("{experiment}", $"{id ?? experiment.Id}"),
                body is null ? null : Client.Bytes(Encoding.UTF8.GetBytes(body))
            );

        var (foreign, missing) = (await Ask(null), await Ask(987_654_321));

        foreign.Must(404);
        (foreign.Problem, foreign["detail"].GetValue<string>()).ShouldBe((missing.Problem, missing["detail"].GetValue<string>()));
        (await ours.Admin.Get($"{ours.Root}/cohorts/")).Must(200)["count"].GetValue<int>().ShouldBe(0);
        (await Read(theirs, cohort)).Text.ShouldBe(cohort.Text);
        (await theirs.Audit("cohort", cohort.Id)).ShouldBe(["cohort.created"]);
    }

    private static IEnumerable<string> Users(int count) => Enumerable.Range(0, count).Select(n => $"user-{n}");

    private static string Path(Given given, Reply cohort) => $"{given.Root}/cohorts/{cohort.Id}/";

    private static Task<Reply> Create(Given given, Reply experiment, object? body = null) =>
        given.Act(experiment.Id, "exposure-cohort", body);

    private static async Task<Reply> Read(Given given, Reply cohort) => (await given.Admin.Get(Path(given, cohort))).Must(200);

    private static long[] Ids(Reply list) => [.. list["results"].AsArray().Select(cohort => cohort!["id"]!.GetValue<long>())];

    private static async Task<List<(string Identifier, string Variant, DateTime ExposedAt)>> Members(Given given, Reply cohort) =>
        [
            .. (await given.Admin.Get($"{Path(given, cohort)}members/?page_size=100"))
                .Must(200)["results"]
                .AsArray()
                .Select(member =>
                    (
                        member!["identifier"]!.GetValue<string>(),
                        member["variant"]!.GetValue<string>(),
                        member["exposed_at"]!.GetValue<DateTime>()
                    )
                ),
        ];

    private static async Task<List<List<string>>> Lines(Given given, Reply cohort) =>
        Parse((await given.Admin.Get($"{Path(given, cohort)}export/")).Must(200).Text)[1..];

    /// <summary>Reads CSV by RFC 4180 to the letter.</summary>
    private static List<List<string>> Parse(string csv)
    {
        var (records, record, field, isQuoted) = (new List<List<string>>(), new List<string>(), new StringBuilder(), false);
        for (var index = 0; index < csv.Length; index++)
        {
            var c = csv[index];
            if (isQuoted && c == '"' && index + 1 < csv.Length && csv[index + 1] == '"')
            {
                field.Append(csv[index++]);
            }
            else if (c == '"')
            {
                isQuoted = !isQuoted;
            }
            else if (!isQuoted && (c == ',' || (c == '\r' && csv[index + 1] == '\n')))
            {
                record.Add(field.ToString());
                field.Clear();
                if (c == '\r')
                {
                    records.Add(record);
                    record = [];
                    index++;
                }
            }
            else
            {
                field.Append(c);
            }
        }

        (isQuoted, field.Length, record.Count).ShouldBe((false, 0, 0));
        return records;
    }

    private static async Task<(Reply Experiment, Func<string, string> Own)> Running(Given given)
    {
        var experiment = await given.AnExperiment();
        await given.Start(experiment);
        var salt = await given.Salt(experiment);
        return (experiment, identity => Assignment.Variant(salt, identity, Halves) == 0 ? "control" : "green");
    }

    /// <summary>Sends these exposures, waits until they are counted, and tells of which instant they are.</summary>
    private static async Task<DateTime> Expose(Given given, Reply experiment, IEnumerable<(string Identity, string Variant)> shown)
    {
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var feature = experiment["feature"]["name"]!.GetValue<string>();
        await given.Send([
            .. shown.Select(one =>
                (object)
                    new
                    {
                        @event = "$flag_exposure",
                        feature_name = feature,
                        identifier = one.Identity,
                        value = one.Variant,
                        timestamp = at,
                    }
            ),
        ]);
        await Given.Eventually(async () => (await given.Exposures(experiment))["events_not_counted"].GetValue<int>() == 0);
        return DateTimeOffset.FromUnixTimeMilliseconds(at).UtcDateTime;
    }

    private Task<long> Count(Given given) =>
        service.Query<long>(
            "SELECT count(*) FROM cohorts c JOIN environments e ON e.id = c.environment_id WHERE e.key = @Key",
            new { given.Key }
        );
}
