using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using Dapper;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// The way to the database for one request. Each call is one statement and one round trip, on a connection of its own unless
/// <see cref="InTransaction{T}"/> is at work. No call outlives its token: a statement that hangs is left behind, to be
/// cancelled and cleaned up without anyone waiting for it.
/// </summary>
internal sealed class Db(NpgsqlDataSource source)
{
    private const int Attempts = 3;

    private NpgsqlConnection? _transactional;

    /// <summary>Reads at most one row. Repeated once when it met a connection that had died in the pool.</summary>
    public Task<T?> Row<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct)
        where T : class =>
        Bounded(connection => connection.QueryFirstOrDefaultAsync<T>(Command(sql, parameters, ct)), Failure.IsDeadConnection, ct);

    /// <summary>Reads rows. Repeated once when it met a connection that had died in the pool.</summary>
    public Task<IReadOnlyList<T>> Rows<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct) =>
        Bounded(
            async connection => (IReadOnlyList<T>)(await connection.QueryAsync<T>(Command(sql, parameters, ct))).AsList(),
            Failure.IsDeadConnection,
            ct);

    /// <summary>Decides, changes and audits in one statement, and reads the row that tells what came of it. Repeated only when the database itself says that it undid everything.</summary>
    public Task<T?> Change<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct)
        where T : class =>
        Bounded(connection => connection.QueryFirstOrDefaultAsync<T>(Command(sql, parameters, ct)), Failure.IsUndone, ct);

    /// <summary>Runs <paramref name="work"/>, with all calls on this object inside it, in one transaction that is kept when <paramref name="keep"/> says so.</summary>
    public Task<T> InTransaction<T>(Func<Task<T>> work, Func<T, bool> keep, CancellationToken ct) => Transact(work, keep, ct).WaitAsync(ct);

    /// <summary>Runs <paramref name="work"/> in a transaction in which <paramref name="sql"/> has locked what it is about.</summary>
    public Task<T> AfterLocking<T>([StringSyntax("PostgreSQL")] string sql, object parameters, Func<Task<T>> work, CancellationToken ct) =>
        InTransaction(
            async () =>
            {
                await _transactional!.ExecuteAsync(Command(sql, parameters, ct));
                return await work();
            },
            _ => true,
            ct);

    private async Task<T> Transact<T>(Func<Task<T>> work, Func<T, bool> keep, CancellationToken ct)
    {
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var transaction = await connection.BeginTransactionAsync(ct);
        _transactional = connection;
        try
        {
            var result = await work();
            if (keep(result))
            {
                await transaction.CommitAsync(ct);
            }

            return result;
        }
        finally
        {
            _transactional = null;
        }
    }

    private Task<T> Bounded<T>(Func<NpgsqlConnection, Task<T>> statement, Func<DbException, bool> mayRepeat, CancellationToken ct) =>
        _transactional is { } connection ? statement(connection) : Alone(statement, mayRepeat, ct).WaitAsync(ct);

    private async Task<T> Alone<T>(Func<NpgsqlConnection, Task<T>> statement, Func<DbException, bool> mayRepeat, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await using var connection = await source.OpenConnectionAsync(ct);
                return await statement(connection);
            }
            catch (DbException exception) when (attempt < Attempts && mayRepeat(exception))
            {
                await Task.Delay(Random.Shared.Next(5, 25) * attempt, ct);
            }
        }
    }

    private static CommandDefinition Command(string sql, object? parameters, CancellationToken ct) =>
        new(sql, parameters, cancellationToken: ct);
}
