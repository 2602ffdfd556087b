using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Platform.Startup;

/// <summary>Once an hour, deletes audit entries that are older than <c>Audit:Retention</c>, if that is set.</summary>
internal sealed class AuditRetentionJob(
    NpgsqlDataSource source,
    IOptions<AuditOptions> options,
    Readiness readiness,
    ILogger<AuditRetentionJob> logger
) : PeriodicJob(readiness, logger)
{
    // The log is append-only to everyone who does not say this in the same transaction.
    private const string Allow = "SELECT set_config('experiments.audit_retention', 'on', true)";

    // Ids follow time, so the oldest entries are the first by id.
    private const string Sql = """
        DELETE FROM audit_log WHERE id IN (
            SELECT id FROM (SELECT id, at FROM audit_log ORDER BY id LIMIT 5000) oldest WHERE at < clock_timestamp() - $1::interval)
        """;

    public override async Task Run(CancellationToken ct)
    {
        if (options.Value.Retention is { } retention)
        {
            await InChunks(() => DeleteSome(retention, ct));
        }
    }

    private async Task<int> DeleteSome(TimeSpan retention, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        await using var allow = new NpgsqlCommand(Allow, connection);
        await allow.ExecuteNonQueryAsync(ct);
        await using var delete = new NpgsqlCommand(Sql, connection) { Parameters = { new() { Value = retention } } };
        var deleted = await delete.ExecuteNonQueryAsync(ct);
        await transaction.CommitAsync(ct);
        return deleted;
    }
}
