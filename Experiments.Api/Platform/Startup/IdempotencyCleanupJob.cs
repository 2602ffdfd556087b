using Npgsql;

namespace Experiments.Api.Platform.Startup;

/// <summary>Once an hour, removes Idempotency-Keys that are more than a day old.</summary>
internal sealed class IdempotencyCleanupJob(NpgsqlDataSource source, Readiness readiness, ILogger<IdempotencyCleanupJob> logger)
    : PeriodicJob(readiness, logger)
{
    private const string Sql = """
        DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT 5000))
        """;

    protected override TimeSpan FirstRunAfter => Interval;

    public override async Task Run(CancellationToken ct)
    {
        await using var command = source.CreateCommand(Sql);
        await InChunks(() => command.ExecuteNonQueryAsync(ct));
    }
}
