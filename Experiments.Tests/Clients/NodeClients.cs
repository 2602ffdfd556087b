using System.Collections.Concurrent;
using System.Diagnostics;

namespace Experiments.Tests.Clients;

/// <summary>The npm project with the clients that exist today, installed once as its lock file has it.</summary>
public sealed class NodeClients : IAsyncLifetime
{
    private static readonly string Directory = Path.Combine(Repository.Root, "Experiments.Tests", "Clients");

    /// <summary>Where the packages are.</summary>
    public static readonly string Packages = Path.Combine(Directory, "node_modules");

    // Several classes of tests need the same, at the same time.
    private static readonly ConcurrentDictionary<string, Lazy<Task>> Installed = new();

    public async ValueTask InitializeAsync() => await Install(".");

    /// <summary>Installs the packages of a project as its lock file has them, if they are not there.</summary>
    /// <param name="folder">The folder of the project, from this one.</param>
    internal static Task Install(string folder) => Installed.GetOrAdd(folder, _ => new(() => InstallOnce(folder))).Value;

    private static async Task InstallOnce(string folder)
    {
        var (installed, wanted) = (
            Path.Combine(Directory, folder, "node_modules", ".package-lock.json"),
            Path.Combine(Directory, folder, "package-lock.json")
        );
        if (!File.Exists(installed) || File.GetLastWriteTimeUtc(installed) < File.GetLastWriteTimeUtc(wanted))
        {
            using var npm = Start("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], folder);
            await Output(npm);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>What a script prints.</summary>
    internal static Task<string> Run(string script, params string[] arguments) => RunIn(".", script, arguments);

    /// <summary>What a script of another project prints.</summary>
    internal static async Task<string> RunIn(string folder, string script, params string[] arguments)
    {
        using var node = Start("node", [script, .. arguments], folder);
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

    internal static Process Start(string program, string[] arguments, string folder = ".") =>
        Process.Start(
            new ProcessStartInfo(program, arguments)
            {
                WorkingDirectory = Path.Combine(Directory, folder),
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
