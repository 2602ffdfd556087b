using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Experiments.Tests.Support;

/// <summary>
/// What source files mention, as the compiler resolves it: qualified names, aliases and constants, which leave no trace in the assembly.
/// </summary>
internal sealed class SourceModel
{
    // The SDK adds these to every file of a web project.
    private const string GlobalUsings = """
        global using Microsoft.AspNetCore.Builder;
        global using Microsoft.AspNetCore.Hosting;
        global using Microsoft.AspNetCore.Http;
        global using Microsoft.AspNetCore.Routing;
        global using Microsoft.Extensions.Configuration;
        global using Microsoft.Extensions.DependencyInjection;
        global using Microsoft.Extensions.Hosting;
        global using Microsoft.Extensions.Logging;
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Net.Http.Json;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private static readonly CSharpParseOptions Language = new(LanguageVersion.Preview);

    private readonly CSharpCompilation _compilation;

    /// <param name="files">Paths and texts.</param>
    public SourceModel(IEnumerable<(string Path, string Text)> files) =>
        _compilation = CSharpCompilation.Create(
            "read",
            files.Append(("GlobalUsings.cs", GlobalUsings)).Select(file => CSharpSyntaxTree.ParseText(file.Item2, Language, file.Item1)),
            ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
                .Split(Path.PathSeparator)
                .Where(path => Path.GetFileName(path) != "Experiments.Api.dll")
                .Select(path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(
                OutputKind.ConsoleApplication,
                nullableContextOptions: NullableContextOptions.Enable,
                allowUnsafe: true
            )
        );

    /// <summary>The types that each file mentions, with the file that declares them, or null for those of libraries.</summary>
    public IEnumerable<(string File, INamedTypeSymbol Type, string? DeclaredIn)> Mentions() =>
        _compilation
            .SyntaxTrees.Where(tree => tree.FilePath != "GlobalUsings.cs")
            .AsParallel()
            .SelectMany(tree =>
            {
                var model = _compilation.GetSemanticModel(tree);
                return tree.GetRoot()
                    .DescendantNodes(node => node is not UsingDirectiveSyntax)
                    .OfType<SimpleNameSyntax>()
                    .Select(name => model.GetSymbolInfo(name).Symbol)
                    .Select(symbol => (symbol as INamedTypeSymbol ?? symbol?.ContainingType)?.OriginalDefinition)
                    .OfType<INamedTypeSymbol>()
                    .Distinct<INamedTypeSymbol>(SymbolEqualityComparer.Default)
                    .Select(type => (tree.FilePath, type, type.DeclaringSyntaxReferences.FirstOrDefault()?.SyntaxTree.FilePath))
                    .ToList();
            });
}
