namespace Experiments.Tests.Pages;

/// <summary>A service with its demo project.</summary>
public sealed class DemoService(TestCluster cluster) : TestService(cluster)
{
    /// <summary>The key of the demo's environment.</summary>
    public string Key { get; private set; } = "";

    public string Experiments => $"/api/v1/environments/{Key}/experiments/";

    public static string Credential => $"Api-Key {AdminKey}";

    protected override string[] Settings => ["--Demo:Enabled=true"];

    public override async ValueTask InitializeAsync()
    {
        await base.InitializeAsync();
        await Given.Eventually(
            async () => await Query<long>("SELECT count(*) FROM projects WHERE name = 'Demo shop' AND organisation = 'Demo'") == 1,
            TimeSpan.FromMinutes(3)
        );
        Key = await Query<string>("SELECT e.key FROM environments e JOIN projects p ON p.id = e.project_id WHERE p.name = 'Demo shop'");
    }

    /// <summary>The id of an experiment.</summary>
    public Task<long> Id(string name) => Query<long>("SELECT id FROM experiments WHERE name = @name", new { name });

    /// <summary>The address of a page.</summary>
    public string Page(string path) => $"/app/{Key}/{path}";
}
