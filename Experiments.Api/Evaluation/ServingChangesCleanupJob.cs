using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>Once an hour, deletes announcements of changes that every replica has seen or has given up on.</summary>
internal sealed class ServingChangesCleanupJob(NpgsqlDataSource source, Readiness readiness, ILogger<ServingChangesCleanupJob> logger)
    : PeriodicJob(readiness, logger)
{
    private const string Sql = """
        DELETE FROM serving_changes WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM serving_changes WHERE at < clock_timestamp() - interval '1 hour' LIMIT 5000))
        """;

    public override async Task Run(CancellationToken ct)
    {
        await using var command = source.CreateCommand(Sql);
        await InChunks(() => command.ExecuteNonQueryAsync(ct));
    }
}
