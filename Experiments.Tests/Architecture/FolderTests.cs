using Microsoft.CodeAnalysis;

namespace Experiments.Tests.Architecture;

/// <summary>Which folder of the service may use which.</summary>
public class FolderTests
{
    private const string Root = "Experiments.Api/";

    // Each folder uses only those above it, so that there is no circle.
    private static readonly (string Folder, string[] Uses)[] Allowed =
    [
        ("Domain", []),
        ("Statistics", []),
        ("Platform", []),
        ("Ingestion", ["Domain", "Platform"]),
        ("Evaluation", ["Domain", "Platform"]),
        ("MetricDefinitions", ["Domain", "Ingestion", "Platform"]),
        ("Aggregation", ["Domain", "Ingestion", "MetricDefinitions", "Platform"]),
        ("ClickHouse", ["Domain", "Ingestion", "Aggregation", "Platform"]),
        ("Warehouse", ["Domain", "Ingestion", "Aggregation", "Platform"]),
        ("Analysis", ["Domain", "Aggregation", "MetricDefinitions", "Platform", "Statistics", "Warehouse"]),
        (
            "Slices",
            ["Domain", "Ingestion", "Aggregation", "MetricDefinitions", "Platform", "Analysis", "Evaluation", "Statistics", "Warehouse"]
        ),
        ("Demo", ["Platform"]),
        ("(root)", ["Demo", "Ingestion", "Aggregation", "ClickHouse", "Platform", "Analysis", "Evaluation", "Slices", "Warehouse"]),
    ];

    // Namespaces that have nothing to do with requests, databases or the host.
    private static readonly string[] PureLibraries = ["System"];

    private static readonly Lazy<IReadOnlyList<(string File, INamedTypeSymbol Type, string? DeclaredIn)>> Service = new(() =>
        [
            .. new SourceModel(
                Repository.Sources("Experiments.Api").Concat(Repository.Sources("migrations")).Select(file => (file, Repository.Read(file)))
            ).Mentions(),
        ]
    );

    // They compile everything once more.
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public void Folders_use_those_that_they_may_and_no_others()
    {
        var used = Uses(Service.Value);

        used.OrderBy(pair => pair).ShouldBe(Allowed.SelectMany(row => row.Uses.Select(use => (row.Folder, use))).OrderBy(pair => pair));
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public void There_is_no_circle_of_folders()
    {
        foreach (var (index, row) in Allowed.Index())
        {
            row.Uses.Except(Allowed.Take(index).Select(above => above.Folder)).ShouldBeEmpty(row.Folder);
        }
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public void The_domain_and_the_statistics_are_pure_functions_of_the_language()
    {
        foreach (var (file, type, declaredIn) in Service.Value.Where(mention => Folder(mention.File) is "Domain" or "Statistics"))
        {
            var space = type.ContainingNamespace.ToDisplayString();
            (
                declaredIn is not null
                || PureLibraries.Any(library => space == library || space.StartsWith(library + ".", StringComparison.Ordinal))
            ).ShouldBeTrue($"{file} uses {type.ToDisplayString()}");
            space.ShouldNotBeOneOf("System.IO", "System.Net", "System.Net.Http", "System.Threading", "System.Threading.Tasks");
        }
    }

    [Theory]
    [InlineData("using Experiments.Api.B; class X { Y? y; }")]
    [InlineData("class X { Experiments.Api.B.Y? y; }")]
    [InlineData("using Other = Experiments.Api.B.Y; class X { Other? y; }")]
    [InlineData("using static Experiments.Api.B.Y; class X { const string Text = Sql; }")]
    [InlineData("using Experiments.Api.B; class X { string Text = $\"{Y.Sql}\"; }")]
    public void Every_way_to_mention_a_type_is_seen(string text)
    {
        var model = new SourceModel([
            (Root + "A/X.cs", text),
            (Root + "B/Y.cs", "namespace Experiments.Api.B; class Y { public const string Sql = \"\"; }"),
        ]);

        Uses(model.Mentions()).ShouldBe([("A", "B")]);
    }

    private static IReadOnlyList<(string, string)> Uses(IEnumerable<(string File, INamedTypeSymbol Type, string? DeclaredIn)> mentions) =>
        [
            .. mentions
                .Where(mention =>
                    mention.DeclaredIn?.StartsWith(Root, StringComparison.Ordinal) == true
                    && mention.File.StartsWith(Root, StringComparison.Ordinal)
                )
                .Select(mention => (Folder(mention.File), Folder(mention.DeclaredIn!)))
                .Where(pair => pair.Item1 != pair.Item2)
                .Distinct(),
        ];

    private static string Folder(string file) => file[Root.Length..].Split('/') is [var folder, _, ..] ? folder : "(root)";
}
