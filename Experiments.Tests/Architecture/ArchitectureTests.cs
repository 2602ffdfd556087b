using System.Reflection;
using Experiments.Api.Platform;
using MediatR;

namespace Experiments.Tests.Architecture;

public class ArchitectureTests
{
    private static readonly Assembly Service = typeof(Problem).Assembly;

    private static readonly Type[] Handlers =
    [
        .. Service
            .GetTypes()
            .Where(type => type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IRequestHandler<,>))),
    ];

    // Not below an environment, each with its reason: the list of tenants itself, and what is checked by the policy of a project.
    private static readonly string[] OutsideOfEnvironments =
    [
        "GetMe",
        "FlagsmithProjects",
        "ListProjects",
        "GetProject",
        "PatchProject",
        "GetEnvironment",
        "CreateProject",
        "DeleteProject",
        "ListEnvironments",
        "ListProjectFeatures",
        "GetProjectFeature",
        "ListWarehouseConnections",
        "CreateWarehouseConnection",
        "GetWarehouseConnection",
        "PatchWarehouseConnection",
        "DeleteWarehouseConnection",
        "TestWarehouseConnection",
        "CreateEnvironment",
        "PatchEnvironment",
        "RotateEnvironmentKey",
        "DeleteEnvironment",
    ];

    // They compute from what they are sent, and read and keep nothing, or send the commands of other slices in the words of Flagsmith.
    private static readonly string[] WithoutDatabase =
    [
        "CompareArms",
        "PlanSampleSize",
        "AdjustPValues",
        "CreateFlagsmithExperiment",
        "PatchFlagsmithExperiment",
        "PatchFlagsmithMetric",
        "PatchFlagsmithRollout",
    ];

    // The fixtures of a class start even where all its tests are left out for being explicit; those left out by a trait start nothing.
    [Fact]
    public void Tests_that_take_long_are_explicit_and_have_the_trait_that_leaves_them_out()
    {
        var tests = typeof(ArchitectureTests)
            .Assembly.GetTypes()
            .SelectMany(type => type.GetMethods())
            .Where(method => method.GetCustomAttribute<FactAttribute>() is not null)
            .ToArray();

        tests.Length.ShouldBeGreaterThan(500);
        tests.Where(IsSlow).Count().ShouldBeGreaterThan(50);
        tests.Where(test => test.GetCustomAttribute<FactAttribute>()!.Explicit != IsSlow(test)).Select(test => test.Name).ShouldBeEmpty();

        static bool IsSlow(MethodInfo test) =>
            test.GetCustomAttributes<TraitAttribute>().Any(trait => trait is { Name: "speed", Value: "slow" });
    }

    [Fact]
    public void Each_slice_is_one_file_with_its_route_its_handler_and_its_sql()
    {
        Handlers.Length.ShouldBeGreaterThan(20);
        foreach (var handler in Handlers)
        {
            var slice = handler.DeclaringType.ShouldNotBeNull(handler.FullName);
            handler.IsSealed.ShouldBeTrue(slice.Name);
            slice.GetMethod("Map", BindingFlags.Public | BindingFlags.Static).ShouldNotBeNull(slice.Name);
            (handler.GetField("Sql", BindingFlags.NonPublic | BindingFlags.Static) is null).ShouldBe(
                WithoutDatabase.Contains(slice.Name),
                slice.Name
            );
            Repository
                .Sources("Experiments.Api/Slices")
                .ShouldContain(file => file.EndsWith($"/{slice.Name}.cs", StringComparison.Ordinal), slice.Name);
        }
    }

    [Fact]
    public void Every_statement_of_a_slice_is_scoped_by_the_environment()
    {
        foreach (
            var handler in Handlers.Where(handler => !OutsideOfEnvironments.Concat(WithoutDatabase).Contains(handler.DeclaringType!.Name))
        )
        {
            var sql = (string)handler.GetField("Sql", BindingFlags.NonPublic | BindingFlags.Static)!.GetRawConstantValue()!;
            sql.ShouldContain("environment_id", Case.Sensitive, handler.DeclaringType!.Name);
            sql.ShouldContain("@EnvironmentId", Case.Sensitive, handler.DeclaringType!.Name);
        }
    }

    [Fact]
    public void No_sql_is_put_together_at_run_time()
    {
        foreach (var file in Repository.Sources("Experiments.Api/Slices"))
        {
            var lines = Repository.Read(file).Split('\n');
            foreach (var (number, line) in lines.Index())
            {
                if (line.Contains("$\"\"\"", StringComparison.Ordinal))
                {
                    // An interpolated constant can only be made of constants.
                    var declaration = string.Join(' ', lines.Skip(Math.Max(0, number - 1)).Take(2));
                    (
                        declaration.Contains("const string", StringComparison.Ordinal)
                        || declaration.Contains(".Named(", StringComparison.Ordinal)
                    ).ShouldBeTrue($"{file}:{number + 1}");
                }
            }
        }
    }

    [Fact]
    public void A_slice_uses_no_other_slice()
    {
        foreach (var handler in Handlers.Where(handler => handler.Namespace != "Experiments.Api.Slices.Flagsmith"))
        {
            var slice = handler.DeclaringType!.Name;
            var file = Repository.Sources("Experiments.Api/Slices").Single(path => path.EndsWith($"/{slice}.cs", StringComparison.Ordinal));
            var text = Repository.Read(file);
            foreach (var other in Handlers.Select(type => type.DeclaringType!.Name).Where(name => name != slice))
            {
                text.ShouldNotContain($"{other}.", Case.Sensitive, slice);
            }
        }
    }

    [Fact]
    public void Files_stay_small()
    {
        var slices = Handlers
            .Select(handler =>
                Repository
                    .Sources("Experiments.Api/Slices")
                    .Single(path => path.EndsWith($"/{handler.DeclaringType!.Name}.cs", StringComparison.Ordinal))
            )
            .Select(file => File.ReadLines(Path.Combine(Repository.Root, file)).Count())
            .Order()
            .ToList();

        slices[^1].ShouldBeLessThanOrEqualTo(215);
        slices[slices.Count / 2].ShouldBeLessThan(100);
        File.ReadLines(Path.Combine(Repository.Root, "Experiments.Api/Program.cs")).Count().ShouldBeLessThan(40);
        foreach (var file in Repository.Sources("Experiments.Api"))
        {
            File.ReadLines(Path.Combine(Repository.Root, file)).Count().ShouldBeLessThanOrEqualTo(300, file);
        }
    }

    [Fact]
    public void No_line_is_wider_than_140_columns()
    {
        string[] folders = ["Experiments.Api", "Experiments.Tests", "migrations", "bench"];
        foreach (var file in folders.SelectMany(Repository.Sources))
        {
            foreach (var (index, line) in File.ReadLines(Path.Combine(Repository.Root, file)).Index())
            {
                line.EnumerateRunes().Count().ShouldBeLessThanOrEqualTo(140, $"{file}:{index + 1}");
            }
        }
    }

    [Fact]
    public void Every_dependency_has_its_reason()
    {
        var reasons = Repository.Read("docs/dependencies.md");
        foreach (
            var line in Repository
                .Read("Directory.Packages.props")
                .Split('\n')
                .Where(line => line.Contains("<PackageVersion ", StringComparison.Ordinal))
        )
        {
            var (name, version) = (line.Split('"')[1], line.Split('"')[3]);
            reasons.ShouldContain($"| {name} | {version} |");
        }
    }
}
