using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Npgsql;

namespace Experiments.Api.Slices.Features;

/// <summary>The import as the command line does it, of a document in a file.</summary>
internal sealed class FlagsmithImport(NpgsqlDataSource source)
{
    /// <summary>Imports the document into the environment of this key, or into the only one that there is.</summary>
    /// <exception cref="InvalidOperationException">It was refused; the message says why.</exception>
    public async Task<ImportFeatures.ImportReport> Run(string file, string? key, CancellationToken ct)
    {
        var bytes = await File.ReadAllBytesAsync(file, ct);
        var scope = await new CommandLineScope(source).Of(key, ct);
        // Read as a body of a request is, so that the file may hold nothing that a request may not.
        var body = JsonBody.Read<JsonDocumentBody>(bytes);
        var outcome = body.Failure is { } unread
            ? unread
            : await new ImportFeatures.Handler(new Db(source)).Handle(new(scope, body.Value!.Json), ct);
        return outcome.Value
            ?? throw new InvalidOperationException(
                outcome.Failure!.Errors is { } errors
                    ? string.Join('\n', errors.Select(error => $"{error.Key}: {string.Join(' ', error.Value)}"))
                    : outcome.Failure.Detail
            );
    }
}
