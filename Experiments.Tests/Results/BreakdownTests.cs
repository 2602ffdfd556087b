using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Results;

/// <summary>Results by level of a trait, by day of exposure and over time: each number follows from the events that were sent.</summary>
public class BreakdownTests(SharedService service) : IClassFixture<SharedService>
{
    private static readonly string[] Variants = ["control", "green"];

    [Fact]
    public async Task Results_are_broken_down_by_the_level_at_the_first_exposure_and_add_up()
    {
        var run = await Run.Start(service, "country", "plan");
        await run.Given.Results(run.Experiment, total: run.People.Count);

        foreach (var (metric, value, denominator) in run.Metrics)
        {
            var reply = (await run.Get($"breakdowns/?metric={metric}")).Must(200);

            reply["metric"].GetValue<long>().ShouldBe(metric);
            var byCountry = reply["breakdowns"][0]!;
            byCountry["trait"]!.GetValue<string>().ShouldBe("country");
            var byLevel = run.People.ToLookup(person => person.Country);
            var shown = byCountry["levels"]!.AsArray();
            shown.Count.ShouldBe(20);
            shown
                .Select(level => level!["level"]!.GetValue<string>())
                .ShouldBe(
                    byLevel
                        .Where(level => level.Key is not null)
                        .OrderByDescending(level => level.Count())
                        .ThenBy(level => level.Key, StringComparer.Ordinal)
                        .Take(20)
                        .Select(level => level.Key!)
                );
            foreach (var level in shown)
            {
                Check(level!, byLevel[level!["level"]!.GetValue<string>()]);
            }

            var names = shown.Select(level => level!["level"]!.GetValue<string>()).ToHashSet();
            Check(byCountry["rest"]!, run.People.Where(person => person.Country is not null && !names.Contains(person.Country)));
            Check(byCountry["not_set"]!, run.People.Where(person => person.Country is null));
            // A trait that nobody has is not an error.
            reply["breakdowns"][1]!["levels"]!.AsArray().ShouldBeEmpty();
            reply["breakdowns"][1]!["rest"].ShouldBeNull();
            Check(reply["breakdowns"][1]!["not_set"]!, run.People);

            void Check(JsonNode group, IEnumerable<Person> people)
            {
                foreach (var (index, key) in Variants.Index())
                {
                    var (arm, own) = (group["arms"]![index]!, people.Where(person => person.Variant == key).ToList());
                    arm["key"]!.GetValue<string>().ShouldBe(key);
                    arm["n"]!.GetValue<int>().ShouldBe(own.Count);
                    arm["sum"]!.GetValue<double>().ShouldBe(own.Sum(value), 1e-9);
                    arm["denominator_sum"]?.GetValue<double>().ShouldBe(own.Sum(denominator), 1e-9);
                    (arm["denominator_sum"] is null).ShouldBe(metric != run.Ratio);
                }
            }
        }

        (await run.Get("breakdowns/?trait=plan")).Must(200)["breakdowns"].AsArray().ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Levels_are_corrected_for_their_number_and_the_whole_is_weighted_to_their_mix()
    {
        var run = await Run.Start(service, "country");
        await run.Given.Results(run.Experiment, total: run.People.Count);

        var breakdown = (await run.Get("breakdowns/")).Must(200)["breakdowns"][0]!;

        var tests = breakdown["levels"]!
            .AsArray()
            .Append(breakdown["rest"])
            .Append(breakdown["not_set"])
            .Select(group => group!["treatments"]![0]!)
            .Where(treatment => treatment["sequential"] is not null)
            .Select(treatment =>
                (P: treatment["sequential"]!["p_value"]!.GetValue<double>(), Adjusted: treatment["adjusted_p_value"]!.GetValue<double>())
            )
            .OrderBy(test => test.P)
            .ToList();
        tests.Count.ShouldBeGreaterThan(5);
        // Those that cannot be tested yet count as well.
        var groups = breakdown["levels"]!.AsArray().Count + 2;
        foreach (var (rank, test) in tests.Index())
        {
            test.Adjusted.ShouldBe(
                Math.Min(1, tests.Skip(rank).Select((other, later) => other.P * groups / (rank + later + 1)).Min()),
                1e-12
            );
        }

        var (difference, variance) = (0.0, 0.0);
        foreach (var level in run.People.GroupBy(person => Shown(person.Country)))
        {
            var (share, arms) = (
                (double)level.Count() / run.People.Count,
                level.ToLookup(person => person.Variant, person => person.Purchased ? 1.0 : 0)
            );
            difference += share * (arms["green"].Average() - arms["control"].Average());
            variance += share * share * (OfMean(arms["green"]) + OfMean(arms["control"]));
        }

        var stratified = breakdown["post_stratified"]![0]!;
        stratified["difference"]!.GetValue<double>().ShouldBe(difference, 1e-12);
        stratified["standard_error"]!.GetValue<double>().ShouldBe(Math.Sqrt(variance), 1e-12);
        var all = run.People.ToLookup(person => person.Variant, person => person.Purchased ? 1.0 : 0);
        stratified["plain"]!["difference"]!.GetValue<double>().ShouldBe(all["green"].Average() - all["control"].Average(), 1e-12);

        string Shown(string? country) =>
            country is null ? "not set"
            : breakdown["levels"]!.AsArray().Any(level => level!["level"]!.GetValue<string>() == country) ? country
            : "rest";

        static double OfMean(IEnumerable<double> values)
        {
            var (list, mean) = (values.ToList(), values.Average());
            return list.Sum(y => (y - mean) * (y - mean)) / (list.Count - 1) / list.Count;
        }
    }

    [Fact]
    public async Task Results_are_shown_by_the_day_of_exposure_and_conversions_by_day_and_hour()
    {
        var run = await Run.Start(service);
        await run.Given.Results(run.Experiment, total: run.People.Count);

        var days = (await run.Get("days/")).Must(200);

        days.Json!["earlier"].ShouldBeNull();
        days["days"]
            .AsArray()
            .Select(day => day!["level"]!.GetValue<string>())
            .ShouldBe(run.People.Select(person => Day(person.ExposedAt)).Distinct().Order(StringComparer.Ordinal));
        foreach (var day in days["days"].AsArray())
        {
            foreach (var (index, key) in Variants.Index())
            {
                var own = run
                    .People.Where(person => person.Variant == key && Day(person.ExposedAt) == day!["level"]!.GetValue<string>())
                    .ToList();
                day!["arms"]![index]!["n"]!.GetValue<int>().ShouldBe(own.Count);
                day["arms"]![index]!["sum"]!.GetValue<double>().ShouldBe(own.Count(person => person.Purchased));
            }
        }

        foreach (var interval in new[] { "day", "hour" })
        {
            var timeline = (await run.Get($"timeline/?interval={interval}")).Must(200);
            timeline.Json!["earlier"].ShouldBeNull();
            foreach (var point in timeline["points"].AsArray())
            {
                var from = point!["at"]!.GetValue<DateTime>();
                var to = from + (interval == "day" ? TimeSpan.FromDays(1) : TimeSpan.FromHours(1));
                foreach (var (index, key) in Variants.Index())
                {
                    var own = run.People.Where(person => person.Variant == key).ToList();
                    var arm = point["variants"]![index]!;
                    arm["exposed"]!.GetValue<int>().ShouldBe(own.Count(person => person.ExposedAt >= from && person.ExposedAt < to));
                    arm["converted"]!
                        .GetValue<int>()
                        .ShouldBe(own.Count(person => person.Purchased && person.ConvertedAt >= from && person.ConvertedAt < to));
                }
            }

            timeline["points"]
                .AsArray()
                .Sum(point => point!["variants"]!.AsArray().Sum(arm => arm!["exposed"]!.GetValue<int>()))
                .ShouldBe(run.People.Count);
            timeline["points"]
                .AsArray()
                .Sum(point => point!["variants"]!.AsArray().Sum(arm => arm!["converted"]!.GetValue<int>()))
                .ShouldBe(run.People.Count(person => person.Purchased));
        }

        static string Day(DateTime at) => at.ToString("yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task Breakdowns_are_settled_before_the_start_and_checked()
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("occurrence");
        var experiment = await given.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" });
        var path = $"{given.Experiments}{experiment.Id}/";
        experiment["breakdowns"].AsArray().ShouldBeEmpty();
        (await given.Admin.Get($"{path}results/breakdowns/"))
            .Must(200)["breakdowns"]
            .AsArray()
            .ShouldAllBe(breakdown => breakdown!["levels"]!.AsArray().Count == 0);

        (await given.Admin.Patch(path, new { breakdowns = new[] { "a", "b", "c", "d" } })).MustName("breakdowns");
        (await given.Admin.Patch(path, new { breakdowns = new[] { "a", "a" } })).MustName("breakdowns");
        (await given.Admin.Patch(path, new { breakdowns = new[] { "a", " " } })).MustName("breakdowns[1]");
        (await given.Admin.Patch(path, new { breakdowns = (string[]?)null })).MustName("breakdowns");
        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "x",
                    hypothesis = "y",
                    feature = 1,
                    breakdowns = new[] { "" },
                }
            )
        ).MustName("breakdowns[0]");
        (await given.Admin.Patch(path, new { breakdowns = new[] { "country" } }))
            .Must(200)["breakdowns"]
            .ToJsonString()
            .ShouldBe("""["country"]""");
        (
            await service.Query<string>(
                """
                SELECT (before->'breakdowns')::text || (after->'breakdowns')::text FROM audit_log
                WHERE object_id = @Id AND action = 'experiment.updated'
                """,
                new { experiment.Id }
            )
        ).ShouldBe("""[]["country"]""");

        await given.Start(experiment);
        (await given.Admin.Patch(path, new { breakdowns = new[] { "plan" } })).Must(409);
        (await given.Admin.Get($"{path}results/breakdowns/?trait=plan")).MustName("trait");
        (await given.Admin.Get($"{path}results/breakdowns/?metric=0")).MustName("metric");
        (await given.Admin.Get($"{path}results/days/?metric=999999999")).MustName("metric");
        (await given.Admin.Get($"{path}results/timeline/?interval=week")).MustName("interval");
        await given.Results(experiment);
        var empty = (await given.Admin.Get($"{path}results/breakdowns/?metric={metric.Id}")).Must(200)["breakdowns"][0]!;
        empty["levels"]!.AsArray().ShouldBeEmpty();
        empty["post_stratified"]![0]!["difference"].ShouldBeNull();
        (await given.Admin.Get($"{path}results/days/?metric={metric.Id}")).Must(200)["days"].AsArray().ShouldBeEmpty();
        (await given.Admin.Get($"{path}results/timeline/?metric={metric.Id}")).Must(200)["points"].AsArray().ShouldBeEmpty();
        (await service.Query<string[]>("SELECT breakdowns FROM experiments WHERE id = @Id", new { experiment.Id })).ShouldBe(["country"]);
    }

    private sealed record Person(
        string Identity,
        string Variant,
        string? Country,
        DateTime ExposedAt,
        bool Purchased,
        DateTime ConvertedAt,
        double Spent,
        int Purchases
    );

    /// <summary>An experiment that has run for three days, with identities whose events are known.</summary>
    private sealed class Run
    {
        public required Given Given { get; init; }

        public required Reply Experiment { get; init; }

        public required long Ratio { get; init; }

        public required List<(long Metric, Func<Person, double> Value, Func<Person, double> Denominator)> Metrics { get; init; }

        public List<Person> People { get; } = [];

        public Task<Reply> Get(string path) => Given.Admin.Get($"{Given.Experiments}{Experiment.Id}/results/{path}");

        public static async Task<Run> Start(TestService service, params string[] breakdowns)
        {
            var given = await Given.AnEnvironment(service);
            var converted = await given.AMetric("occurrence", "converted");
            var capped = await given.AMetric(
                "sum",
                "capped",
                new
                {
                    @event = "purchase",
                    property = "value",
                    winsorize = new { cap = 60 },
                    lookback_days = 7,
                }
            );
            var ratio = await given.AMetric(
                "ratio",
                "ratio",
                new
                {
                    @event = "purchase",
                    property = "value",
                    denominator = new { @event = "purchase" },
                }
            );
            var experiment = (
                await given.Admin.Post(
                    given.Experiments,
                    new
                    {
                        name = "Green button",
                        hypothesis = "Green sells.",
                        feature = (await given.AFeature()).Id,
                        breakdowns,
                        metrics = new object[]
                        {
                            new
                            {
                                metric = converted.Id,
                                role = "primary",
                                expected_direction = "increase",
                            },
                            new { metric = capped.Id, expected_direction = "increase" },
                            new { metric = ratio.Id, expected_direction = "increase" },
                        },
                    }
                )
            ).Must(201);
            experiment["breakdowns"].AsArray().Select(trait => trait!.GetValue<string>()).ShouldBe(breakdowns);
            await given.Start(experiment);
            await service.Execute(
                """
                UPDATE experiments SET started_at = now() - interval '3 days',
                    runs = tstzmultirange(tstzrange(now() - interval '3 days', NULL))
                WHERE id = @Id
                """,
                new { experiment.Id }
            );
            var run = new Run
            {
                Given = given,
                Experiment = experiment,
                Ratio = ratio.Id,
                Metrics =
                [
                    (converted.Id, person => person.Purchased ? 1 : 0, _ => 0),
                    (capped.Id, person => Math.Min(60, person.Spent), _ => 0),
                    (ratio.Id, person => person.Spent, person => person.Purchases),
                ],
            };
            await run.Send();
            return run;
        }

        private async Task Send()
        {
            var random = new Random(7);
            var (salt, halves) = (await Given.Salt(Experiment), Assignment.Cumulate([50, 50]));
            var start = DateTime.UtcNow.AddDays(-3).AddMinutes(1);
            var events = new List<object>();
            for (var n = 0; n < 1500; n++)
            {
                var identity = $"u{n}";
                var variant = Variants[Assignment.Variant(salt, identity, halves)];
                // The smaller the number, the more have it.
                var country = random.Next(10) == 0 ? null : $"c{(int)(24 * Math.Pow(random.NextDouble(), 2))}";
                var exposedAt = Milliseconds(start.AddMinutes(random.Next(2 * 24 * 60)));
                var purchases = random.NextDouble() < (variant == "green" ? 0.5 : 0.35) ? random.Next(1, 4) : 0;
                var (spent, first) = (0.0, DateTime.MaxValue);
                events.Add(Exposure(exposedAt, country));
                // What is said later does not change the level, and neither do those before do.
                events.Add(Exposure(exposedAt.AddHours(1), "later"));
                for (var purchase = 0; purchase < purchases; purchase++)
                {
                    var (at, value) = (exposedAt.AddMinutes(1 + random.Next(20 * 60)), random.Next(1, 4000) / 100.0);
                    (spent, first) = (spent + value, at < first ? at : first);
                    events.Add(Event(at, value));
                }

                // Before the exposure, nothing counts.
                events.Add(Event(exposedAt.AddSeconds(-30), 1000));
                People.Add(new(identity, variant, country, exposedAt, purchases > 0, first, spent, purchases));

                object Exposure(DateTime at, string? level) =>
                    new
                    {
                        @event = "$flag_exposure",
                        feature_name = Experiment["feature"]["name"]!.GetValue<string>(),
                        identifier = identity,
                        value = variant,
                        timestamp = new DateTimeOffset(at).ToUnixTimeMilliseconds(),
                        traits = new { country = level },
                    };

                object Event(DateTime at, double value) =>
                    new
                    {
                        @event = "purchase",
                        identifier = identity,
                        value = value.ToString(System.Globalization.CultureInfo.InvariantCulture),
                        timestamp = new DateTimeOffset(at).ToUnixTimeMilliseconds(),
                    };
            }

            var shuffled = events.ToArray();
            random.Shuffle(shuffled);
            foreach (var batch in shuffled.Chunk(1000))
            {
                await Given.Send(batch);
            }
        }

        private static DateTime Milliseconds(DateTime at) =>
            new(at.Ticks / TimeSpan.TicksPerMillisecond * TimeSpan.TicksPerMillisecond, DateTimeKind.Utc);
    }
}
