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

    /// <summary>Where everything of the environment is.</summary>
    public string Root => $"/api/v1/environments/{Key}";

    public string Experiments => $"{Root}/experiments/";

    public string Features => $"{Root}/features/";

    public static async Task<Given> AnEnvironment(TestService service)
    {
        var mark = Guid.NewGuid().ToString("N")[..8];
        var project = (await service.Admin.Post("/api/v1/projects/", new { name = $"shop-{mark}", organisation = $"acme-{mark}" })).Must(201);
        return await AnotherEnvironment(service, project.Id, $"acme-{mark}", $"shop-{mark}");
    }

    /// <summary>Another environment of the same project.</summary>
    public Task<Given> Sibling() => AnotherEnvironment(Service, ProjectId, Organisation, Project);

    /// <summary>A feature with these options besides its own value, "blue".</summary>
    public async Task<Reply> AFeature(params string[] options) => (await Admin.Post(Features, new
    {
        name = $"feature-{Guid.NewGuid():N}",
        initial_value = "blue",
        multivariate_options = (options.Length == 0 ? ["green"] : options).Select(key => new { key, value = key, default_percentage_allocation = 0 }),
    })).Must(201);

    public async Task<Reply> AnExperiment(params string[] options) =>
        (await Admin.Post(Experiments, new { name = "Green button", hypothesis = "Green sells.", feature = (await AFeature(options)).Id })).Must(201);

    /// <summary>An experiment that has come to this status by its own actions.</summary>
    public async Task<Reply> AnExperimentThatIs(string status)
    {
        var experiment = await AnExperiment();
        string[] actions = status switch { "created" => [], "running" => ["start"], "paused" => ["start", "pause"], _ => ["start", "complete"] };
        foreach (var action in actions)
        {
            experiment = (await Act(experiment.Id, action)).Must(200);
        }

        return experiment;
    }

    public Task<Reply> Act(long id, string action, object? body = null, params (string Name, string Value)[] headers) =>
        Admin.Post($"{Experiments}{id}/{action}/", body, headers);

    /// <summary>The actions in the audit log of an object, oldest first.</summary>
    public Task<IReadOnlyList<string>> Audit(string type, long id) => Service.QueryAll<string>(
        """
        SELECT action FROM audit_log a JOIN environments e ON e.id = a.environment_id
        WHERE e.key = @Key AND object_type = @type AND object_id = @id ORDER BY a.id
        """,
        new { Key, type, id });

    private static async Task<Given> AnotherEnvironment(TestService service, long projectId, string organisation, string project)
    {
        var name = $"production-{Guid.NewGuid().ToString("N")[..8]}";
        var environment = (await service.Admin.Post($"/api/v1/projects/{projectId}/environments/", new { name })).Must(201);
        return new(service, projectId, organisation, project, environment["key"].GetValue<string>());
    }
}
