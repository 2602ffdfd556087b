using Experiments.Api.Domain;

namespace Experiments.Tests.Results;

/// <summary>Texts count by what they say, in whatever store the events are.</summary>
public class OddTextTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public async Task JSON_counts_by_its_content_and_not_by_how_it_was_spelled()
    {
        var given = await Given.AnEnvironment(service);
        object Matching(string @operator, string value) =>
            new
            {
                @event = "buy",
                filters = new[]
                {
                    new
                    {
                        property = "metadata.x",
                        @operator,
                        value,
                    },
                },
            };
        var experiment = await Running(
            given,
            await given.AMetric("count_distinct", "distinct", new { @event = "buy", property = "metadata.x" }),
            await given.AMetric("count", "equals", Matching("equals", "1000")),
            await given.AMetric("count", "contains", Matching("contains", "é"))
        );
        string[] spelled =
        [
            "1e3",
            "1000",
            "-0",
            "0",
            """["a","b"]""",
            """[ "a" , "b" ]""",
            """["\u00e9"]""",
            """["é"]""",
            """{"b":1,"a":2}""",
            """{"a":2,"b":1}""",
            "true",
        ];

        var at = await Expose(given, experiment, experiment["feature"]["name"]!.GetValue<string>());
        var events = spelled.Select(
            (x, n) => $$"""{"event": "buy", "identifier": "u", "timestamp": {{at + n}}, "metadata": {"x": {{x}} } }"""
        );
        (await given.Sdk.PostText("/v1/events", $$"""{"events": [{{string.Join(",", events)}}]}""")).Must(202);

        (await Sums(given, experiment)).ShouldBe([6, 2, 2]);
    }

    [Fact]
    public async Task Names_with_any_character_are_those_of_events()
    {
        var given = await Given.AnEnvironment(service);
        string[] names =
        [
            "it's",
            "back\\slash",
            "\"quoted\"",
            "tab\tand\nline",
            "{names:Array(String)}",
            "[']",
            "😀",
            "名前",
            .. Enumerable.Range(0, 12).Select(n => string.Concat(Enumerable.Repeat("長", 240)) + n),
        ];
        var metrics = new List<Reply>();
        foreach (var name in names)
        {
            metrics.Add(await given.AMetric("count", $"m{metrics.Count}", new { @event = name }));
        }

        var experiment = await Running(given, [.. metrics]);
        var at = await Expose(given, experiment, experiment["feature"]["name"]!.GetValue<string>());
        await given.Send([
            .. names
                .SelectMany((name, n) => Enumerable.Range(0, n + 1).Select(time => (Name: name, At: at + time)))
                .Select(one =>
                    (object)
                        new
                        {
                            @event = one.Name,
                            identifier = "u",
                            timestamp = one.At,
                        }
                ),
        ]);

        (await Sums(given, experiment)).ShouldBe(names.Select((_, n) => n + 1.0));
    }

    [Fact]
    public async Task A_long_name_of_wide_characters_is_that_of_its_feature()
    {
        var given = await Given.AnEnvironment(service);
        var name = string.Concat(Enumerable.Repeat("😀", 200)) + Guid.NewGuid().ToString("N");
        var feature = await given.AFeatureNamed(name);
        var experiment = await given.Start(await given.AnExperimentOn(feature.Id));

        await Expose(given, experiment, name);

        (await given.Counted(experiment))["total"].GetValue<int>().ShouldBe(1);
    }

    private static async Task<Reply> Running(Given given, params Reply[] metrics) =>
        await given.Start(
            await given.AnExperimentWith([.. metrics.Select(metric => (object)new { metric = metric.Id, expected_direction = "increase" })])
        );

    private static async Task<IEnumerable<double>> Sums(Given given, Reply experiment) =>
        (await given.Results(experiment))["metrics"]
            .AsArray()
            .Select(metric => metric!["arms"]!.AsArray().Sum(arm => arm!["sum"]!.GetValue<double>()));

    // Returns the next instant.
    private static async Task<long> Expose(Given given, Reply experiment, string feature)
    {
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        var isControl = Assignment.Variant(await given.Salt(experiment), "u", Assignment.Cumulate([50, 50])) == 0;
        await given.Send(
            new
            {
                @event = "$flag_exposure",
                feature_name = feature,
                identifier = "u",
                value = isControl ? "control" : "green",
                timestamp = at,
            }
        );
        return at + 1;
    }
}
