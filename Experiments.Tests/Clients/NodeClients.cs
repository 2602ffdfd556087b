using System.Diagnostics;

namespace Experiments.Tests.Clients;

/// <summary>The npm project with the clients that exist today, installed once as its lock file has it.</summary>
public sealed class NodeClients : IAsyncLifetime
{
    private static readonly string Directory = Path.Combine(Repository.Root, "Experiments.Tests", "Clients");

    /// <summary>Where the packages are.</summary>
    public static readonly string Packages = Path.Combine(Directory, "node_modules");

    // Several classes of tests need it, at the same time.
    private static readonly Lazy<Task> Installed = new(Install);

    public async ValueTask InitializeAsync() => await Installed.Value;

    private static async Task Install()
    {
        if (
            !File.Exists(Path.Combine(Directory, "node_modules", ".package-lock.json"))
            || File.GetLastWriteTimeUtc(Path.Combine(Directory, "node_modules", ".package-lock.json"))
                < File.GetLastWriteTimeUtc(Path.Combine(Directory, "package-lock.json"))
        )
        {
            using var npm = Start("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
            await Output(npm);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>What a script prints.</summary>
    internal static async Task<string> Run(string script, params string[] arguments)
    {
        using var node = Start("node", [script, .. arguments]);
        return await Output(node);
    }

    /// <summary>What a module prints that is not in a file.</summary>
    internal static async Task<string> RunModule(string module)
    {
        using var node = Start("node", ["--input-type=module"]);
        await node.StandardInput.WriteAsync(module);
        node.StandardInput.Close();
        return await Output(node);
    }

    internal static Process Start(string program, string[] arguments) =>
        Process.Start(
            new ProcessStartInfo(program, arguments)
            {
                WorkingDirectory = Directory,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;

    private static async Task<string> Output(Process process)
    {
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        process.ExitCode.ShouldBe(0, output + await error);
        return output;
    }
}
