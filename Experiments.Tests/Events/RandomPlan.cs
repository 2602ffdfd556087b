using System.Globalization;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Events;

/// <summary>A random experiment that has started some hours ago.</summary>
internal sealed record RandomPlan(
    string Name,
    string Salt,
    string Status,
    DateTime Started,
    DateTime? Ended,
    string Runs,
    string Rollouts,
    decimal Rollout,
    string Exposure,
    string[] Breakdowns,
    string UnitKey,
    bool HasHoldout
)
{
    private static readonly string[] Criteria =
    [
        "{}",
        "{}",
        """{"multiple_variants": "first_seen"}""",
        """{"event": "shown", "feature_property": "variant"}""",
        """{"event": "shown", "feature_property": "variant", "multiple_variants": "first_seen"}""",
        """{"test_identities": {"trait": "plan", "values": [2]}}""",
        """{"event": "view"}""",
        """{"event": "view", "filters": [{"property": "metadata.page", "operator": "in", "value": ["a", "b"]}]}""",
    ];

    public static RandomPlan Of(Random random, int seed, int index, long now)
    {
        DateTime Ago(int hours) => DateTimeOffset.FromUnixTimeMilliseconds(now).UtcDateTime.AddHours(-hours);
        string At(int hours) => Ago(hours).ToString("O", CultureInfo.InvariantCulture);
        var (status, ended, runs) = random.Next(5) switch
        {
            0 => ("running", (int?)null, $"{{[{At(10)},)}}"),
            1 or 2 => ("running", null, $"{{[{At(10)},{At(6)}),[{At(5)},)}}"),
            3 => ("paused", null, $"{{[{At(10)},{At(4)})}}"),
            _ => ("completed", 3, $"{{[{At(10)},{At(7)}),[{At(6)},{At(3)})}}"),
        };
        return new(
            $"x{index:00}",
            $"salt-{seed}-{index}",
            status,
            Ago(10),
            ended is { } hours ? Ago(hours) : null,
            runs,
            random.Next(3) == 0 ? $$"""[{"percentage": 30, "until": "{{At(8)}}"}]""" : "[]",
            random.Next(3) == 0 ? 60 : 100,
            Criteria[random.Next(Criteria.Length)],
            random.Next(2) == 0 ? [] : ["country", "plan"],
            random.Next(7) == 0 ? "company" : "",
            random.Next(3) == 0
        );
    }

    /// <summary>Exposures to it, and what identities did.</summary>
    public IEnumerable<JsonObject> Events(Random random, long now)
    {
        var halves = Assignment.Cumulate([50, 50]);
        string Unit(string identity) => UnitKey == "" ? identity : Company(identity);
        var events = RandomWorld.Events(
            random,
            60,
            now,
            Name,
            identity => Assignment.Variant(Salt, Unit(identity), halves) == 0 ? "control" : "green"
        );
        foreach (var (index, one) in events.Index())
        {
            var identity = one["identifier"]!.GetValue<string>();
            var metadata = one["metadata"] as JsonObject ?? [];
            one["metadata"] = metadata;
            if (random.Next(10) != 0)
            {
                metadata["company"] = random.Next(2) == 0 ? Company(identity) : JsonNode.Parse(Company(identity));
            }

            if (one["event"]!.GetValue<string>() == "$flag_exposure" && Exposure.Contains("shown", StringComparison.Ordinal))
            {
                metadata["variant"] = one["value"]!.GetValue<string>();
                (one["event"], one["feature_name"], one["value"]) = ("shown", null, null);
            }

            if (random.Next(3) == 0)
            {
                one["id"] = $"{Salt}-{index}";
            }

            if (random.Next(25) == 0)
            {
                one["identifier"] = null;
            }
        }

        return events;
    }

    // A number, which may be sent as one or as a text.
    private static string Company(string identity) => $"{int.Parse(identity["user-".Length..], CultureInfo.InvariantCulture) % 12}";
}
