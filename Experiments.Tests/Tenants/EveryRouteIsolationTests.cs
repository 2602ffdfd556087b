using System.Text.Json.Nodes;

namespace Experiments.Tests.Tenants;

/// <summary>Every operation on an object of an environment that the OpenAPI document has, with ids of another environment.</summary>
public class EveryRouteIsolationTests(TestService service) : IClassFixture<TestService>
{
    private const string Environment = "/api/v1/environments/{environment_key}/";

    [Fact]
    public async Task Another_environments_objects_are_as_good_as_none_on_every_route()
    {
        var theirs = await Given.AnEnvironment(service);
        var ours = await theirs.Sibling();
        var ids = await Objects(theirs);
        // What has just started is backfilled in the background.
        await Given.Eventually(async () => await service.Query<long>("SELECT count(*) FROM experiment_metrics WHERE NOT backfilled") == 0);
        var before = await Snapshot();
        var tried = new List<string>();

        foreach (var (path, operations) in (await service.Admin.Get("/openapi/v1.json")).Json!["paths"]!.AsObject())
        {
            if (!path.Contains(Environment, StringComparison.Ordinal) || !Below(path).Contains('{', StringComparison.Ordinal))
            {
                continue;
            }

            foreach (var (method, operation) in operations!.AsObject())
            {
                var route = $"{method.ToUpperInvariant()} {path}";
                var foreign = await Send(ours, method, path, operation!, ids);
                var missing = await Send(ours, method, path, operation!, ids.ToDictionary(id => id.Key, _ => 987_654_321L));

                foreign.Code.ShouldBe(404, route);
                foreign.Problem.ShouldBe(missing.Problem, route);
                foreign["detail"].GetValue<string>().ShouldBe(missing["detail"].GetValue<string>(), route);
                tried.Add(route);
            }
        }

        tried.Count.ShouldBeGreaterThanOrEqualTo(55);
        // Events in ClickHouse are copied here by tests that look for them.
        foreach (
            var (table, rows) in (await Snapshot()).Where(one =>
                !TestEventStore.IsClickHouse || !one.Key.StartsWith("events", StringComparison.Ordinal)
            )
        )
        {
            rows.ShouldBe(before[table], table);
        }
    }

    // What comes after the environment.
    private static string Below(string path) => path[(path.IndexOf(Environment, StringComparison.Ordinal) + Environment.Length)..];

    // One of each kind, by the name of its list; the link of a metric by the name of its parameter.
    private static async Task<Dictionary<string, long>> Objects(Given theirs)
    {
        var metric = await theirs.AMetric("occurrence");
        var experiment = await theirs.Start(await theirs.AnExperimentWith(new { metric = metric.Id, expected_direction = "increase" }));
        return new()
        {
            ["experiments"] = experiment.Id,
            ["link"] = experiment["metrics"][0]!["id"]!.GetValue<long>(),
            // Those of the project are in all of its environments.
            ["features"] = (await (await theirs.Stranger()).AFeature()).Id,
            ["metrics"] = metric.Id,
            ["experiment-metrics"] = metric.Id,
            // Each environment has one, with the same id.
            ["warehouse-connections"] = 987_654_321,
            ["holdouts"] = (await theirs.Admin.Post($"{theirs.Root}/holdouts/", new { name = "h", percentage = 5 })).Must(201).Id,
            ["cohorts"] = (await theirs.Admin.Post($"{theirs.Experiments}{experiment.Id}/exposure-cohort/")).Must(201).Id,
            ["admins"] = (await theirs.Admin.Post($"{theirs.Root}/admins/", new { subject = "carol" })).Must(201).Id,
            ["api-keys"] = (await theirs.Admin.Post($"{theirs.Root}/api-keys/", new { name = "ci" })).Must(201).Id,
        };
    }

    private static Task<Reply> Send(Given given, string method, string path, JsonNode operation, Dictionary<string, long> ids)
    {
        var parts = Below(path).Split('/');
        var filled = parts.Select(part =>
            part == "{link}" ? $"{ids["link"]}"
            : part.StartsWith('{') ? $"{ids[parts[0]]}"
            : part
        );
        var example = operation["requestBody"]?["content"]?["application/json"]?["example"]?.ToJsonString();
        return given.Admin.Send(
            new HttpMethod(method.ToUpperInvariant()),
            $"{path[..^Below(path).Length].Replace("{environment_key}", given.Key, StringComparison.Ordinal)}{string.Join('/', filled)}/",
            example is null ? null : Client.Bytes(System.Text.Encoding.UTF8.GetBytes(example))
        );
    }

    // What every table holds.
    private async Task<Dictionary<string, string>> Snapshot()
    {
        var tables = await service.QueryAll<string>("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
        var rows = new Dictionary<string, string>();
        foreach (var table in tables)
        {
            rows[table] = await service.Query<string>(
                $"SELECT COALESCE(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM {table} t"
            );
        }

        return rows;
    }
}
