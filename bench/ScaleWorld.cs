using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Npgsql;

namespace Experiments.Bench;

/// <summary>An environment with an experiment that runs.</summary>
internal sealed class ScaleWorld(HttpClient admin, HttpClient sdk, NpgsqlDataSource source, string root)
{
    /// <summary>How many events a request has.</summary>
    public const int Batch = 1000;

    /// <summary>How many identities are active at a time, and how many events each of them has.</summary>
    public const int Identities = 50_000;
    public const int EventsOfIdentity = 12;

    private const int Senders = 16;
    private static readonly double[] Halves = Assignment.Cumulate([50, 50]);
    private static readonly long Start = DateTimeOffset.UtcNow.AddHours(-2).ToUnixTimeMilliseconds();

    public long ExperimentId { get; private set; }

    private string Salt { get; set; } = "";

    private string Feature { get; set; } = "";

    public static async Task<ScaleWorld> Plant(string address, NpgsqlDataSource source)
    {
        var admin = new HttpClient { BaseAddress = new(address) };
        admin.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Api-Key {Machine.AdminKey}");
        var project = await Post(admin, "/api/v1/projects/", new { name = "bench", organisation = "bench" });
        var environment = await Post(admin, $"/api/v1/projects/{project["id"]}/environments/", new { name = "bench" });
        var key = environment["key"]!.GetValue<string>();
        var root = $"/api/v1/environments/{key}";
        var sdk = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = Senders }) { BaseAddress = new(address) };
        sdk.DefaultRequestHeaders.Add("X-Environment-Key", key);
        var world = new ScaleWorld(admin, sdk, source, root);
        var feature = await Post(
            admin,
            $"{root}/features/",
            new
            {
                name = "button_colour",
                initial_value = "blue",
                multivariate_options = new[]
                {
                    new
                    {
                        key = "green",
                        value = "green",
                        default_percentage_allocation = 0,
                    },
                },
            }
        );
        (string Aggregation, object Definition)[] kinds =
        [
            ("occurrence", new { @event = "purchase", lookback_days = 1 }),
            ("count", new { @event = "visit" }),
            (
                "sum",
                new
                {
                    @event = "purchase",
                    property = "value",
                    lookback_days = 1,
                }
            ),
            ("mean", new { @event = "purchase", property = "value" }),
            ("occurrence", new { @event = "signup", conversion_window_hours = 48 }),
            ("count", new { @event = "purchase" }),
            ("funnel", new { steps = new[] { new { @event = "visit" }, new { @event = "signup" }, new { @event = "purchase" } } }),
            ("occurrence", new { @event = "visit" }),
        ];
        var metrics = new List<object>();
        foreach (var (index, (aggregation, definition)) in kinds.Index())
        {
            var metric = await Post(
                admin,
                $"{root}/metrics/",
                new
                {
                    name = $"metric {index}",
                    aggregation,
                    direction = "up",
                    definition,
                }
            );
            metrics.Add(new { metric = metric["id"]!.GetValue<long>(), expected_direction = "increase" });
        }

        var experiment = await Post(
            admin,
            $"{root}/experiments/",
            new
            {
                name = "Green button",
                hypothesis = "It sells more.",
                feature = feature["id"]!.GetValue<long>(),
                metrics,
            }
        );
        (world.ExperimentId, world.Feature) = (experiment["id"]!.GetValue<long>(), "button_colour");
        await Post(admin, $"{root}/experiments/{world.ExperimentId}/start/", new { });
        await using var command = source.CreateCommand(
            $"""
            UPDATE experiments SET started_at = now() - interval '3 hours',
                runs = tstzmultirange(tstzrange(now() - interval '3 hours', NULL)) WHERE id = {world.ExperimentId} RETURNING salt
            """
        );
        world.Salt = (string)(await command.ExecuteScalarAsync())!;
        return world;
    }

    /// <summary>Sends events, from this number on.</summary>
    public async Task Send(int first, int count)
    {
        var next = first / Batch - 1;
        await Task.WhenAll(
            Enumerable
                .Range(0, Senders)
                .Select(async _ =>
                {
                    while (Interlocked.Increment(ref next) is var n && n < (first + count) / Batch)
                    {
                        using var content = new ByteArrayContent(Body(n));
                        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
                        using var answer = await sdk.PostAsync(new Uri("/v1/events", UriKind.Relative), content);
                        answer.EnsureSuccessStatusCode();
                    }
                })
        );
    }

    /// <summary>Sends the first events, some at a time, until each is counted.</summary>
    public async Task WarmUp(int count)
    {
        for (var (first, step) = (0, count / 5); first < count; first += step)
        {
            await Send(first, step);
            await Counted();
        }
    }

    /// <summary>Waits until everything that came in is counted, at once, as for somebody who looks at the results.</summary>
    public async Task Counted()
    {
        var counted = Until("SELECT NOT EXISTS (SELECT FROM event_batches)");
        while (await Task.WhenAny(counted, Task.Delay(1000)) != counted)
        {
            (await admin.GetAsync(new Uri($"{root}/experiments/{ExperimentId}/results/?refresh=true", UriKind.Relative))).Dispose();
        }
    }

    public async Task AddMetric()
    {
        var metric = await Post(
            admin,
            $"{root}/metrics/",
            new
            {
                name = "one more",
                aggregation = "sum",
                direction = "up",
                definition = new { @event = "visit", property = "value" },
            }
        );
        await Post(
            admin,
            $"{root}/experiments/{ExperimentId}/metrics/",
            new
            {
                metric = metric["id"]!.GetValue<long>(),
                role = "secondary",
                expected_direction = "increase",
            }
        );
    }

    // In releases that had another name for it as well.
    public Task Backfilled() =>
        Until(
            """
            SELECT NOT EXISTS (
                SELECT FROM experiment_metrics l, to_jsonb(l) j WHERE NOT COALESCE(j ->> 'backfilled', j ->> 'folded')::boolean)
            """
        );

    private async Task Until(string holds)
    {
        await using var command = source.CreateCommand(holds);
        while (!(bool)(await command.ExecuteScalarAsync())!)
        {
            await Task.Delay(50);
        }
    }

    // An identity is exposed, visits, signs up or not, and purchases.
    private byte[] Body(int batch)
    {
        var body = new StringBuilder("{\"events\":[", 200 * Batch);
        for (var n = (long)batch * Batch; n < (batch + 1L) * Batch; n++)
        {
            // After these identities come others.
            var identity = $"user-{n / (Identities * EventsOfIdentity)}-{n * 7919 % Identities}";
            var at = Start + (n / 4 % (2 * 3600_000));
            var (name, value) = (n % 6) switch
            {
                0 => ("$flag_exposure", Assignment.Variant(Salt, identity, Halves) == 0 ? "control" : "green"),
                1 or 2 => ("visit", "1"),
                3 => ("signup", "1"),
                _ => ("purchase", (n % 97).ToString(CultureInfo.InvariantCulture)),
            };
            var feature = n % 6 == 0 ? $"\"{Feature}\"" : "null";
            body.Append(
                CultureInfo.InvariantCulture,
                $$"""{"event":"{{name}}","feature_name":{{feature}},"identifier":"{{identity}}","value":"{{value}}","""
                    + $$""" "metadata":{"sdk_version":"12.4.0"},"timestamp":{{at}}},"""
            );
        }

        body.Length--;
        return Encoding.UTF8.GetBytes(body.Append("]}").ToString());
    }

    private static async Task<JsonNode> Post(HttpClient client, string path, object body)
    {
        using var answer = await client.PostAsJsonAsync(new Uri(path, UriKind.Relative), body);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? JsonNode.Parse(text)! : throw new InvalidOperationException($"{path}: {text}");
    }
}
