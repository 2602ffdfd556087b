using System.Data;
using Dapper;
using Npgsql;

namespace Experiments.Api.Analysis;

/// <summary>
/// Snapshots for readers that go through all identities of an experiment. Only a few at a time, so that they leave connections and
/// processors to others; their statements may take longer than those of other requests.
/// </summary>
internal sealed class FullPasses(NpgsqlDataSource source) : IDisposable
{
    /// <summary>How long such a reader may take.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _turns = new(2);

    /// <summary>Reads from one snapshot, once it is its turn.</summary>
    public async Task<T> Read<T>(Func<NpgsqlConnection, Task<T>> read, CancellationToken ct)
    {
        await _turns.WaitAsync(ct);
        try
        {
            await using var connection = await source.OpenConnectionAsync(ct);
            await using var snapshot = await connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, ct);
            await connection.ExecuteAsync(
                $"SET LOCAL statement_timeout = {(long)Limit.TotalMilliseconds}; "
                    + $"SET LOCAL idle_in_transaction_session_timeout = {(long)Limit.TotalMilliseconds}"
            );
            return await read(connection);
        }
        finally
        {
            _turns.Release();
        }
    }

    public void Dispose() => _turns.Dispose();
}
