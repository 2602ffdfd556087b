using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using Dapper;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// Database access for one request. Each call is one round trip, on its own connection unless it runs inside
/// <see cref="InTransaction{T}"/>. No call outlives its token: a statement that hangs is abandoned, and the server's time-out ends it.
/// </summary>
internal sealed class Db(NpgsqlDataSource source)
{
    private const int Attempts = 3;

    private NpgsqlConnection? _transactional;

    /// <summary>Whether writes are part of a larger transaction and are kept only if all of it commits.</summary>
    public bool IsInTransaction => _transactional is not null;

    /// <summary>Reads at most one row. Retried once if the pooled connection was dead.</summary>
    public Task<T?> Row<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct)
        where T : class => Bounded(connection => PositionalSql.Row<T>(connection, sql, parameters), Failure.IsDeadConnection, ct);

    /// <summary>Reads rows. Retried once if the pooled connection was dead.</summary>
    public Task<IReadOnlyList<T>> Rows<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct) =>
        Bounded(connection => PositionalSql.Rows<T>(connection, sql, parameters), Failure.IsDeadConnection, ct);

    /// <summary>
    /// Decides, changes and audits in one statement, and reads the row that describes the outcome. Retried only if the database reports
    /// that it rolled everything back.
    /// </summary>
    public Task<T?> Change<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct)
        where T : class => Bounded(connection => PositionalSql.Row<T>(connection, sql, parameters), Failure.IsUndone, ct);

    /// <summary>
    /// The same for several statements: the first ones wait for locks, and the last does the rest. They share one round trip and one
    /// transaction, and each sees everything that was committed while those before it waited.
    /// </summary>
    public Task<T?> ChangeLocked<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct, int locks = 1)
        where T : class =>
        Bounded(
            async connection =>
            {
                await using var results = await connection.QueryMultipleAsync(PositionalSql.Batch(sql, parameters));
                for (var taken = 0; taken < locks; taken++)
                {
                    _ = await results.ReadAsync();
                }

                return await results.ReadFirstOrDefaultAsync<T>();
            },
            Failure.IsUndone,
            ct
        );

    /// <summary>
    /// Runs <paramref name="work"/>, including all calls on this object inside it, in one transaction. It is committed if
    /// <paramref name="keep"/> returns true.
    /// </summary>
    public Task<T> InTransaction<T>(Func<Task<T>> work, Func<T, bool> keep, CancellationToken ct) => Transact(work, keep, ct).OrDetach(ct);

    /// <summary>Runs long work that uses other connections. If a transaction is open here, it is kept alive in the meantime.</summary>
    public async Task<T> Elsewhere<T>(Func<Task<T>> work)
    {
        if (_transactional is not { } connection)
        {
            return await work();
        }

        await using (Heartbeat.Of(connection))
        {
            return await work();
        }
    }

    private async Task<T> Transact<T>(Func<Task<T>> work, Func<T, bool> keep, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        // No token from here on: to cancel a statement, Npgsql asks the server and waits for its reply. OrDetach abandons a statement
        // that hangs instead, even if it is the commit.
        await using var transaction = await connection.BeginTransactionAsync(CancellationToken.None);
        _transactional = connection;
        try
        {
            var result = await work();
            // Nobody is waiting for this any more, so roll it back.
            ct.ThrowIfCancellationRequested();
            if (keep(result))
            {
                await transaction.CommitAsync(CancellationToken.None);
            }

            return result;
        }
        finally
        {
            _transactional = null;
        }
    }

    private Task<T> Bounded<T>(Func<NpgsqlConnection, Task<T>> statement, Func<DbException, bool> mayRepeat, CancellationToken ct) =>
        // Inside a transaction, the whole transaction is abandoned. Its connection must not be closed while a statement is running.
        _transactional is { } connection
            ? statement(connection)
            : Alone(statement, mayRepeat, ct).OrDetach(ct);

    private async Task<T> Alone<T>(Func<NpgsqlConnection, Task<T>> statement, Func<DbException, bool> mayRepeat, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync(ct);
                ct.ThrowIfCancellationRequested();
                return await statement(connection);
            }
            catch (DbException exception) when (attempt < Attempts && mayRepeat(exception))
            {
                await Task.Delay(Random.Shared.Next(5, 25) * attempt, ct);
            }
        }
    }
}
