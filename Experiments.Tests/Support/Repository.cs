using System.Reflection;

namespace Experiments.Tests.Support;

/// <summary>The files that the suite holds to the rules of the house.</summary>
internal static class Repository
{
    public static string Root { get; } =
        Path.GetFullPath(
            typeof(Repository).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "RepositoryRoot").Value!
        );

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    /// <summary>The C# files below a folder, by their path from the root.</summary>
    public static IEnumerable<string> Sources(string worker) =>
        Directory
            .EnumerateFiles(Path.Combine(Root, worker), "*.cs", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(Root, file))
            .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal));
}
