using System.Diagnostics;

namespace Experiments.Tests.Contract;

/// <summary>
/// The published document before those who consume it: linters, and generated clients that are compiled and run through the whole flow.
/// </summary>
public sealed class ContractTests(SharedService service) : IClassFixture<SharedService>
{
    private static readonly string Here = Path.Combine(Repository.Root, "Experiments.Tests", "Contract");
    private static readonly string Document = Path.Combine(Repository.Root, "docs", "openapi.json");
    private static readonly Lazy<Task> Installed = new(() => Run(Here, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"));

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Linters_have_nothing_to_say()
    {
        await Installed.Value;

        await Run(Here, "npx", "redocly", "lint", "--config", "redocly.yaml", Document);
        await Run(Here, "npx", "spectral", "lint", "--fail-severity=hint", "--ruleset", ".spectral.yaml", Document);
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_generated_client_in_TypeScript_is_strict_and_does_it_all()
    {
        await Installed.Value;
        var given = await Given.AnEnvironment(service);

        await Run(Here, "npx", "openapi-ts", "-i", Document, "-o", "client", "-c", "@hey-api/client-fetch");
        await Run(Here, "npx", "tsc", "-p", ".");
        // The pages of the service know no more of the API than anybody.
        await Run(Here, "npx", "tsc", "-p", "pages.tsconfig.json");

        var printed = await Run(Here, "node", "built/flow.js", $"{service.Address}", TestService.AdminKey, given.Key);
        printed.Trim().ShouldBe("done");
    }

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_generated_client_in_CSharp_does_it_all()
    {
        var given = await Given.AnEnvironment(service);
        var folder = Directory.CreateDirectory(Temporary.Directory("client")).FullName;
        // Away from the settings of this repository, which are not those of a user.
        File.Copy(Path.Combine(Here, "flow.cs.txt"), Path.Combine(folder, "Program.cs"));
        File.Copy(Path.Combine(Here, "client.csproj.xml"), Path.Combine(folder, "client.csproj"));

        await Run(
            Repository.Root,
            "dotnet",
            "nswag",
            "openapi2csclient",
            $"/input:{Document}",
            $"/output:{Path.Combine(folder, "Client.cs")}",
            "/namespace:Generated",
            "/className:ExperimentsClient",
            "/operationGenerationMode:SingleClientFromOperationId",
            "/generateOptionalParameters:true",
            "/generateNullableReferenceTypes:true",
            "/generateOptionalPropertiesAsNullable:true",
            "/useBaseUrl:false",
            "/injectHttpClient:true",
            "/wrapResponses:true"
        );
        await Run(folder, "dotnet", "build", "client.csproj", "--nologo", "-v", "q", "-o", "built");

        var printed = await Run(folder, "dotnet", "built/client.dll", $"{service.Address}", TestService.AdminKey, given.Key);
        printed.Trim().ShouldBe("done");
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<string> Run(string folder, string program, params string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(program, arguments)
            {
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        process.ExitCode.ShouldBe(0, $"{program} {string.Join(' ', arguments)}\n{output}{await error}");
        return output;
    }
}
