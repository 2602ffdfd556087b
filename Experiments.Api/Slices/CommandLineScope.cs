using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Npgsql;

namespace Experiments.Api.Slices;

/// <summary>The environment that a command is about, and who changes it.</summary>
internal sealed class CommandLineScope(NpgsqlDataSource source)
{
    private const string Sql = """
        SELECT id FROM environments WHERE (@environmentKey::text IS NULL OR key = @environmentKey) AND deleted_at IS NULL
        ORDER BY id LIMIT 2
        """;

    private static readonly Caller Caller = new("command line", null, null);

    /// <summary>The environment with this key; without a key, the only one that there is.</summary>
    /// <exception cref="InvalidOperationException">There is none, or more than one.</exception>
    public async Task<CommandScope> Of(string? environmentKey, CancellationToken ct) =>
        await new Db(source).Rows<long>(Sql, new { environmentKey }, ct) switch
        {
            [var id] => new(id, Caller, null, true),
            [] => throw new InvalidOperationException("There is no such environment. Create one, or give its key with --environment."),
            _ => throw new InvalidOperationException("There are several environments. Say which with --environment <key>."),
        };
}
