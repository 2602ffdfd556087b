using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>Once an hour, deletes traits that their environment does not keep any more.</summary>
internal sealed class KeptTraitsCleanupJob(NpgsqlDataSource source, Readiness readiness, ILogger<KeptTraitsCleanupJob> logger)
    : PeriodicJob(readiness, logger)
{
    private const string Sql = """
        UPDATE identity_traits t SET traits = (
            SELECT COALESCE(jsonb_object_agg(m.key, m.value), '{}') FROM jsonb_each(t.traits) m
            WHERE m.key = ANY (ARRAY(SELECT unnest(e.kept_traits) FROM environments e WHERE e.id = t.environment_id)))
        WHERE t.ctid = ANY (ARRAY(
            SELECT o.ctid FROM identity_traits o JOIN environments e ON e.id = o.environment_id
            WHERE EXISTS (SELECT FROM jsonb_object_keys(o.traits) key WHERE key <> ALL (e.kept_traits))
            LIMIT 5000))
        """;

    public override async Task Run(CancellationToken ct)
    {
        await using var command = source.CreateCommand(Sql);
        await InChunks(() => command.ExecuteNonQueryAsync(ct));
    }
}
