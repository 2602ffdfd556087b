namespace Experiments.Tests.Support;

/// <summary>A file of the repository that is generated, and committed so that each change of it is seen.</summary>
internal static class CommittedFile
{
    /// <summary>Whether what is generated is taken for right.</summary>
    public static bool IsAccepting => Environment.GetEnvironmentVariable("EXPERIMENTS_ACCEPT") == "1";

    /// <summary>Holds the file to what would be generated now; with EXPERIMENTS_ACCEPT=1, writes it.</summary>
    public static async Task ShouldBe(string path, string generated)
    {
        var file = Path.Combine(Repository.Root, path);
        if (IsAccepting)
        {
            await File.WriteAllTextAsync(file, generated);
        }

        (await File.ReadAllTextAsync(file)).ShouldBe(
            generated,
            $"{path} is out of date. When the change is meant: EXPERIMENTS_ACCEPT=1 ./dev test"
        );
    }
}
