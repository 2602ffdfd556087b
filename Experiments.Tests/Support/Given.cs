using System.Text.Json.Nodes;
using Experiments.Api.Domain;

namespace Experiments.Tests.Support;

/// <summary>An environment of its own for one test, with what the test needs in it, made over HTTP.</summary>
public sealed class Given
{
    private Given(TestService service, long projectId, string organisation, string project, string key)
    {
        Service = service;
        ProjectId = projectId;
        Organisation = organisation;
        Project = project;
        Key = key;
    }

    public TestService Service { get; }

    public Client Admin => Service.Admin;

    public long ProjectId { get; }

    public string Organisation { get; }

    public string Project { get; }

    /// <summary>The environment's key.</summary>
    public string Key { get; }

    /// <summary>Speaks as an application, with the environment's key.</summary>
    public Client Sdk => Service.As(null).With("X-Environment-Key", Key);

    /// <summary>Where everything of the environment is.</summary>
    public string Root => $"/api/v1/environments/{Key}";

    public string Experiments => $"{Root}/experiments/";

    public string Metrics => $"{Root}/metrics/";

    public string Features => $"{Root}/features/";

    public static async Task<Given> AnEnvironment(TestService service)
    {
        var mark = Guid.NewGuid().ToString("N")[..8];
        var project = (await service.Admin.Post("/api/v1/projects/", new { name = $"shop-{mark}", organisation = $"acme-{mark}" })).Must(
            201
        );
        return await AnotherEnvironment(service, project.Id, $"acme-{mark}", $"shop-{mark}");
    }

    /// <summary>Another environment of the same project.</summary>
    public Task<Given> Sibling() => AnotherEnvironment(Service, ProjectId, Organisation, Project);

    /// <summary>An environment of another project.</summary>
    public Task<Given> Stranger() => AnEnvironment(Service);

    /// <summary>A feature with these options besides its own value, "blue".</summary>
    public Task<Reply> AFeature(params string[] options) => AFeatureNamed($"feature-{Guid.NewGuid():N}", options);

    public async Task<Reply> AFeatureNamed(string name, params string[] options) =>
        (
            await Admin.Post(
                Features,
                new
                {
                    name,
                    initial_value = "blue",
                    multivariate_options = (options.Length == 0 ? ["green"] : options).Select(key => new
                    {
                        key,
                        value = key,
                        default_percentage_allocation = 0,
                    }),
                }
            )
        ).Must(201);

    public async Task<Reply> AnExperiment(params string[] options) => await AnExperimentOn((await AFeature(options)).Id);

    public async Task<Reply> AnExperimentOn(long feature) =>
        (
            await Admin.Post(
                Experiments,
                new
                {
                    name = "Green button",
                    hypothesis = "Green sells.",
                    feature,
                }
            )
        ).Must(201);

    /// <summary>A metric on the event "purchase".</summary>
    public async Task<Reply> AMetric(string aggregation, string name = "m", object? definition = null, string direction = "up") =>
        (
            await Admin.Post(
                Metrics,
                new
                {
                    name,
                    aggregation,
                    direction,
                    definition = definition ?? new { @event = "purchase" },
                }
            )
        ).Must(201);

    public async Task<Reply> AnExperimentWith(params object[] metrics) =>
        (
            await Admin.Post(
                Experiments,
                new
                {
                    name = "Green button",
                    hypothesis = "Green sells.",
                    feature = (await AFeature()).Id,
                    metrics,
                }
            )
        ).Must(201);

    /// <summary>A running experiment with the variants control and green, and one metric: who has purchased something.</summary>
    public async Task<Reply> ARunningExperimentWithAMetric()
    {
        var metric = await AMetric("occurrence");
        return await Start(
            await AnExperimentWith(
                new
                {
                    metric = metric.Id,
                    role = "primary",
                    expected_direction = "increase",
                }
            )
        );
    }

    /// <summary>Exposes the identities u0, u1 and so on to their variants, of two in equal parts. Each then purchases something.</summary>
    public async Task ExposeAndConvert(Reply experiment, int identities, bool toTheWrongVariant = false)
    {
        var salt = await Salt(experiment);
        var halves = Assignment.Cumulate([50, 50]);
        var at = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();
        await Send([
            .. Enumerable
                .Range(0, identities)
                .SelectMany(n =>
                    new object[]
                    {
                        new
                        {
                            @event = "$flag_exposure",
                            feature_name = experiment["feature"]["name"]!.GetValue<string>(),
                            identifier = $"u{n}",
                            value = Assignment.Variant(salt, $"u{n}", halves) == 0 != toTheWrongVariant ? "control" : "green",
                            timestamp = at,
                        },
                        new
                        {
                            @event = "purchase",
                            identifier = $"u{n}",
                            timestamp = at + 1,
                        },
                    }
                ),
        ]);
    }

    /// <summary>An experiment that has come to this status by its own actions.</summary>
    public async Task<Reply> AnExperimentThatIs(string status)
    {
        var experiment = await AnExperiment();
        string[] actions = status switch
        {
            "created" => [],
            "running" => ["start"],
            "paused" => ["start", "pause"],
            _ => ["start", "complete"],
        };
        foreach (var action in actions)
        {
            experiment = (await Act(experiment.Id, action)).Must(200);
        }

        return experiment;
    }

    public Task<Reply> Act(long id, string action, object? body = null, params (string Name, string Value)[] headers) =>
        Admin.Post($"{Experiments}{id}/{action}/", body, headers);

    public async Task Enable(Reply feature)
    {
        (await Admin.Patch($"{Features}{feature.Id}/", new { enabled = true })).Must(200);
        await Served(flag => flag["enabled"]!.GetValue<bool>());
    }

    /// <summary>Starts an experiment and waits until it is served.</summary>
    public async Task<Reply> Start(Reply experiment)
    {
        var started = (await Act(experiment.Id, "start")).Must(200);
        await Eventually(async () =>
            (await Sdk.Get("/api/v1/flags/"))
                .Must(200)
                .Json!.AsArray()
                .Any(flag => flag!["metadata"]?["experiment"]?["id"]?.GetValue<long>() == experiment.Id)
        );
        return started;
    }

    public Task<string> Salt(Reply experiment) =>
        Service.Query<string>("SELECT salt FROM experiments WHERE id = @Id", new { experiment.Id });

    /// <summary>Asks for one flag as OpenFeature does.</summary>
    public Task<Reply> Evaluate(JsonNode feature, string identifier) =>
        Sdk.Post($"/ofrep/v1/evaluate/flags/{feature["name"]}", new { context = new { targetingKey = identifier } });

    public Task<Reply> Evaluate(Reply feature, string identifier) => Evaluate(feature.Json!, identifier);

    /// <summary>Sends events that are all taken.</summary>
    public async Task<Reply> Send(params object[] events)
    {
        var receipt = (await SendAny(events)).Must(202);
        receipt["rejected_count"].GetValue<int>().ShouldBe(0, receipt.Text);
        return receipt;
    }

    public Task<Reply> SendAny(params object[] events) => Sdk.Post("/v1/events", new { events });

    public async Task<Reply> Exposures(Reply experiment) => (await Admin.Get($"{Experiments}{experiment.Id}/exposures/")).Must(200);

    /// <summary>The exposures of an experiment once every event that was sent is counted.</summary>
    public async Task<Reply> Counted(Reply experiment)
    {
        Reply? counted = null;
        await Eventually(async () => (counted = await Exposures(experiment))["events_not_counted"].GetValue<int>() == 0);
        return counted!;
    }

    /// <summary>A holdout of identities, or of units.</summary>
    public async Task<Reply> AHoldout(decimal percentage, string name = "holdout", object? unit = null) =>
        (
            await Admin.Post(
                $"{Root}/holdouts/",
                new
                {
                    name,
                    percentage,
                    unit,
                }
            )
        ).Must(201);

    /// <summary>The results of an experiment once every event that was sent is counted, for every metric.</summary>
    public async Task<Reply> Results(Reply experiment, int? total = null)
    {
        Reply? results = null;
        await Eventually(async () =>
            // A machine that is busy with other tests may say so.
            (results = await Admin.Get($"{Experiments}{experiment.Id}/results/?refresh=true")).Code != 503
            && results.Must(200)["events_not_counted"].GetValue<int>() == 0
            && results["metrics"].AsArray().All(metric => metric!["is_backfilling"] is null)
            && (total is null || results["total"].GetValue<int>() == total)
        );
        return results!;
    }

    /// <summary>What the database holds of the environment's events, oldest first.</summary>
    public Task<IReadOnlyList<string>> Stored() =>
        Service.QueryAll<string>(
            """
            SELECT jsonb_strip_nulls(jsonb_build_object(
                'at', (extract(epoch FROM v.at) * 1000)::bigint, 'event', v.event, 'feature_name', v.feature_name, 'identifier',
                    v.identifier,
                'value', v.value, 'traits', v.traits, 'metadata', v.metadata))::text
            FROM events v JOIN environments e ON e.id = v.environment_id
            WHERE e.key = @Key ORDER BY v.at, v.event
            """,
            new { Key }
        );

    /// <summary>Waits until every flag is served like this.</summary>
    public Task Served(Func<JsonNode, bool> like, TimeSpan? within = null) =>
        Eventually(
            async () =>
                (await Sdk.Get("/api/v1/flags/")).Must(200).Json!.AsArray() is { Count: > 0 } flags && flags.All(flag => like(flag!)),
            within
        );

    /// <summary>Waits until as many flags are served.</summary>
    public Task Served(int flags) =>
        Eventually(async () => (await Sdk.Get("/api/v1/flags/")) is { Code: 200 } reply && reply.Json!.AsArray().Count == flags);

    public static async Task Eventually(Func<Task<bool>> holds, TimeSpan? within = null)
    {
        for (var clock = System.Diagnostics.Stopwatch.StartNew(); !await holds(); await Task.Delay(5))
        {
            clock.Elapsed.ShouldBeLessThan(within ?? TimeSpan.FromSeconds(15));
        }
    }

    /// <summary>The actions in the audit log of an object, oldest first.</summary>
    public Task<IReadOnlyList<string>> Audit(string type, long id) =>
        Service.QueryAll<string>(
            """
            SELECT action FROM audit_log a JOIN environments e ON e.id = a.environment_id
            WHERE e.key = @Key AND object_type = @type AND object_id = @id ORDER BY a.id
            """,
            new
            {
                Key,
                type,
                id,
            }
        );

    private static async Task<Given> AnotherEnvironment(TestService service, long projectId, string organisation, string project)
    {
        var name = $"production-{Guid.NewGuid().ToString("N")[..8]}";
        var environment = (await service.Admin.Post($"/api/v1/projects/{projectId}/environments/", new { name })).Must(201);
        return new(service, projectId, organisation, project, environment["key"].GetValue<string>());
    }
}
