using System.Globalization;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Clients;

/// <summary>What a client saw, and what the service counted of it.</summary>
internal static class SeenByClient
{
    /// <summary>How many identities a client runs through an experiment.</summary>
    public const int Identities = 1000;

    public static string Feature(Reply experiment) => experiment["feature"]["name"]!.GetValue<string>();

    /// <summary>An experiment with three variants that runs for a part of all identities.</summary>
    public static async Task<Reply> AnExperiment(Given given, int rollout, int holdout = 0)
    {
        var experiment = await given.AnExperiment("green", "red");
        if (holdout > 0)
        {
            var kept = await given.AHoldout(holdout);
            (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { holdout = kept.Id })).Must(200);
        }

        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/rollout/", new { rollout_percentage = rollout })).Must(200);
        return await given.Start(experiment);
    }

    /// <summary>Whether exactly those count that saw a variant, each in its own.</summary>
    /// <param name="given">The environment.</param>
    /// <param name="experiment">The experiment.</param>
    /// <param name="seen">The key of the variant by identity; null for those who were shown none.</param>
    public static async Task ShouldBeCounted(Given given, Reply experiment, IReadOnlyDictionary<string, string?> seen)
    {
        seen.Count.ShouldBe(Identities);
        var held = seen.Values.Count(key => key?.StartsWith("holdout-", StringComparison.Ordinal) == true);
        var counted = await Counted(given, experiment);
        // PostHog's SDKs report whoever is held out also where the rollout would not have included them.
        var notEnrolled = held == 0 ? 0 : counted["excluded"]["not_enrolled"]!.GetValue<int>();
        counted["excluded"].AsObject().Sum(reason => reason.Value!.GetValue<int>()).ShouldBe(notEnrolled, counted.Text);
        (counted["held_out"].GetValue<int>() + notEnrolled).ShouldBe(held, counted.Text);
        foreach (var variant in counted["variants"].AsArray())
        {
            variant!["identities"]!
                .GetValue<int>()
                .ShouldBe(seen.Values.Count(key => key == variant["key"]!.GetValue<string>()), counted.Text);
        }
    }

    /// <summary>The exposures once the first have arrived and all that have are counted.</summary>
    public static async Task<Reply> Counted(Given given, Reply experiment)
    {
        Reply? counted = null;
        await Given.Eventually(async () => (counted = await given.Counted(experiment))["total"].GetValue<int>() > 0);
        return counted!;
    }

    /// <summary>Whether each identity has bought its number, once; the purchases.</summary>
    public static async Task<IReadOnlyList<JsonNode>> ShouldHavePurchased(Given given)
    {
        var purchases = (await given.Stored())
            .Select(one => JsonNode.Parse(one)!)
            .Where(one => one["event"]!.GetValue<string>() == "purchase")
            .ToList();
        purchases
            .Select(one => (one["identifier"]!.GetValue<string>(), one["value"]!.GetValue<string>()))
            .Order()
            .ShouldBe(Enumerable.Range(0, Identities).Select(n => ($"user-{n}", n.ToString(CultureInfo.InvariantCulture))).Order());
        return purchases;
    }
}
