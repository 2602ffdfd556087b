namespace Experiments.Tests.Clients;

/// <summary>The Kubernetes manifests are valid by the schemas of Kubernetes.</summary>
public class ManifestTests(NodeClients clients) : IClassFixture<NodeClients>
{
    private static readonly string Manifests = Path.Combine(Repository.Root, "docs", "operations", "kubernetes.yaml");

    private readonly NodeClients _ = clients;

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Every_object_is_what_its_schema_allows() =>
        (await NodeClients.Run("manifests.mjs", Manifests))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .ShouldBe(["Deployment", "Service", "PodDisruptionBudget"]);

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task What_a_schema_does_not_allow_is_found()
    {
        var file = Temporary.Directory("manifest") + ".yaml";
        var text = await File.ReadAllTextAsync(Manifests);
        await File.WriteAllTextAsync(file, text.Replace("replicas: 2", "replicas: two", StringComparison.Ordinal));

        (await Record.ExceptionAsync(() => NodeClients.Run("manifests.mjs", file)))!.Message.ShouldContain("replicas must be integer");

        File.Delete(file);
    }
}
