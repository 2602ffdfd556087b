using System.Text.Json.Nodes;
using Experiments.Api.Aggregation;
using Npgsql;

namespace Experiments.Tests.Results;

/// <summary>Experiments on companies, devices or whatever else shares the value of a key.</summary>
public class UnitTests(SharedService service) : IClassFixture<SharedService>
{
    private const int Companies = 60;

    [Fact]
    public async Task Whoever_shares_a_company_shares_its_variant_in_every_protocol()
    {
        var (given, experiment) = await Running(holdout: 20);
        var feature = experiment["feature"];
        var name = feature["name"]!.GetValue<string>();

        for (var n = 0; n < Companies; n++)
        {
            var company = $"company-{n}";
            var first = await Ofrep(new { targetingKey = "user-1", company });
            (
                await Ofrep(
                    new
                    {
                        targetingKey = "user-2",
                        company,
                        plan = "pro",
                    }
                )
            ).ShouldBe(first);
            (await Ofrep(new { company })).ShouldBe(first);
            var flagsmith = await given.Sdk.Post(
                "/api/v1/identities/",
                new { identifier = "user-3", traits = new[] { new { trait_key = "company", trait_value = company } } }
            );
            flagsmith
                .Must(200)["flags"]
                .AsArray()
                .Single(flag => flag!["feature"]!["name"]!.GetValue<string>() == name)!["variant"]
                ?.GetValue<string>()
                .ShouldBe(first);
            var postHog = (await given.Sdk.Post("/flags/?v=2", new { distinct_id = "user-4", groups = new { company } })).Must(200);
            var variant = postHog["flags"][name]!["variant"]?.GetValue<string>();
            (variant?.StartsWith("holdout-", StringComparison.Ordinal) == true ? null : variant).ShouldBe(first);
        }

        // Whoever has none is in no experiment.
        foreach (
            var context in new object[]
            {
                new { targetingKey = "user-1" },
                new { targetingKey = "user-1", company = "" },
                new { company = true },
            }
        )
        {
            (await Ofrep(context)).ShouldBeNull();
        }

        (await Ofrep(new { company = 42 })).ShouldBe(await Ofrep(new { company = "42" }));
        (await Ofrep(new JsonObject { ["company"] = JsonNode.Parse("4.2e1") })).ShouldBe(await Ofrep(new { company = "42" }));
        (await given.Sdk.Get("/api/v1/identities/?identifier=company-1"))
            .Must(200)["flags"]
            .AsArray()
            .ShouldAllBe(flag => flag!["variant"] == null);

        async Task<string?> Ofrep(object context) =>
            (await given.Sdk.Post($"/ofrep/v1/evaluate/flags/{name}", new { context })).Must(200).Json!["variant"]?.GetValue<string>();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    public async Task What_is_served_is_what_is_counted_and_counted_again(int holdout)
    {
        var (given, experiment) = await Running(holdout);
        var name = experiment["feature"]["name"]!.GetValue<string>();
        var served = new Dictionary<string, string?>();
        var events = new List<object>();
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        for (var n = 0; n < Companies; n++)
        {
            var company = n == 0 ? (object)42 : $"company-{n}";
            var variant = (await given.Sdk.Post($"/ofrep/v1/evaluate/flags/{name}", new { context = new { company } }))
                .Must(200)
                .Json!["variant"]
                ?.GetValue<string>();
            served[$"{company}"] = variant;
            for (var user = 0; user < 3; user++)
            {
                events.Add(Exposure(name, $"user-{n}-{user}", variant, at + user, new { company }));
                // The value is the company's, wherever the event says so.
                events.Add(
                    new
                    {
                        @event = "purchase",
                        identifier = $"user-{n}-{user}",
                        timestamp = at + 10 + user,
                        metadata = new { company },
                    }
                );
            }
        }

        events.Add(Exposure(name, "nobody's", "control", at, new { plan = "pro" }));
        events.Add(Exposure(name, "nobody's", "control", at + 1, new { company = new[] { "a" } }));
        await given.Send([.. events]);

        var results = await given.Results(experiment);
        var exposures = await given.Exposures(experiment);
        exposures["excluded"]["no_identifier"]!.GetValue<int>().ShouldBe(2);
        exposures["excluded"].AsObject().Sum(reason => reason.Value!.GetValue<int>()).ShouldBe(2, exposures.Text);
        exposures["held_out"].GetValue<int>().ShouldBe(served.Values.Count(variant => variant is null));
        foreach (var arm in results["metrics"][0]!["arms"]!.AsArray())
        {
            var companies = served.Values.Count(variant => variant == arm!["key"]!.GetValue<string>());
            arm!["n"]!.GetValue<int>().ShouldBe(companies);
            arm["sum"]!.GetValue<double>().ShouldBe(3 * companies);
        }

        (
            await service.QueryAll<string>("SELECT identifier FROM exposures WHERE experiment_id = @Id ORDER BY 1", new { experiment.Id })
        ).ShouldBe(served.Keys.Order(StringComparer.Ordinal));

        await using var source = NpgsqlDataSource.Create(service.ConnectionString);
        RebuildReport? report = null;
        await Given.Eventually(async () =>
            (report = await new RebuildFromEvents(service.Store, source, TimeSpan.FromHours(24)).Run(experiment.Id, CancellationToken.None))
                is not null
        );
        report.ShouldBe(new(Companies, 0, 0));
        (await given.Exposures(experiment))["excluded"].ToJsonString().ShouldBe(exposures["excluded"].ToJsonString());
        // A metric that is added later counts the same companies.
        var late = await given.AMetric("occurrence", "late");
        (await given.Admin.Post($"{given.Experiments}{experiment.Id}/metrics/", new { metric = late.Id, role = "secondary" })).Must(201);
        (await given.Results(experiment))["metrics"][1]!["arms"]!
            .AsArray()
            .Sum(arm => arm!["sum"]!.GetValue<double>())
            .ShouldBe(served.Values.Count(variant => variant is not null));
    }

    [Fact]
    public async Task A_unit_is_fixed_at_the_first_start()
    {
        var given = await Given.AnEnvironment(service);
        var experiment = await given.AnExperiment();
        experiment.Json!["unit"].ShouldBeNull();
        var path = $"{given.Experiments}{experiment.Id}/";

        (await given.Admin.Patch(path, new { unit = new { key = "device" } }))
            .Must(200)["unit"]
            .ToJsonString()
            .ShouldBe("""{"key":"device"}""");
        (await given.Admin.Patch(path, new { unit = (object?)null })).Must(200).Json!["unit"].ShouldBeNull();
        (await given.Admin.Patch(path, new { unit = new { key = "company" } })).Must(200);
        (await given.Admin.Patch(path, new { unit = new { key = " " } })).MustName("unit.key");
        (await given.Admin.Patch(path, new { unit = new { } })).MustName("unit.key");
        (await given.Admin.Patch(path, new { unit = "company" })).MustName("unit");
        await given.Start(experiment);
        (await given.Admin.Patch(path, new { unit = new { key = "device" } })).MustBe(409, "experiment.settings_frozen");
        (await given.Admin.Patch(path, new { unit = new { key = "company" } })).Must(200);
        (await given.Act(experiment.Id, "complete")).Must(200);
        (await given.Act(experiment.Id, "duplicate")).Must(201)["unit"]["key"]!.GetValue<string>().ShouldBe("company");
    }

    [Fact]
    public async Task Experiments_join_only_holdouts_of_their_unit()
    {
        var given = await Given.AnEnvironment(service);
        var ofCompanies = await given.AHoldout(10, unit: new { key = "company" });
        var ofIdentities = await given.AHoldout(10);
        ofCompanies["unit"].ToJsonString().ShouldBe("""{"key":"company"}""");
        var experiment = await given.AnExperiment();
        var path = $"{given.Experiments}{experiment.Id}/";

        (await given.Admin.Patch(path, new { holdout = ofCompanies.Id })).MustName("holdout");
        (await given.Admin.Patch(path, new { holdout = ofCompanies.Id, unit = new { key = "company" } })).Must(200);
        (await given.Admin.Patch(path, new { unit = (object?)null })).MustName("unit");
        (await given.Admin.Patch(path, new { unit = (object?)null, holdout = ofIdentities.Id })).Must(200).Json!["unit"].ShouldBeNull();
        (
            await given.Admin.Post(
                given.Experiments,
                new
                {
                    name = "n",
                    hypothesis = "h",
                    feature = new { name = "other" },
                    holdout = ofIdentities.Id,
                    unit = new { key = "company" },
                }
            )
        ).MustName("holdout");
        (await given.Admin.Get($"{given.Root}/features/?q=other")).Must(200)["count"].GetValue<int>().ShouldBe(0);
    }

    private async Task<(Given, Reply)> Running(int holdout)
    {
        var given = await Given.AnEnvironment(service);
        var metric = await given.AMetric("count");
        var experiment = await given.AnExperimentWith(
            new
            {
                metric = metric.Id,
                role = "primary",
                expected_direction = "increase",
            }
        );
        (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { unit = new { key = "company" } })).Must(200);
        if (holdout > 0)
        {
            var kept = await given.AHoldout(holdout, unit: new { key = "company" });
            (await given.Admin.Patch($"{given.Experiments}{experiment.Id}/", new { holdout = kept.Id })).Must(200);
        }

        return (given, await given.Start(experiment));
    }

    private static object Exposure(string feature, string identifier, string? variant, long at, object traits) =>
        new
        {
            @event = "$flag_exposure",
            feature_name = feature,
            identifier,
            value = variant,
            timestamp = at,
            traits,
        };
}
