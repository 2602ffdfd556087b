using System.Data.Common;
using System.Diagnostics.CodeAnalysis;
using Dapper;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// The way to the database for one request. Each call is one round trip, on a connection of its own unless
/// <see cref="InTransaction{T}"/> is at work. No call outlives its token: a statement that hangs is left behind without anyone
/// waiting for it, to be ended by the server's own time-out.
/// </summary>
internal sealed class Db(NpgsqlDataSource source)
{
    private const int Attempts = 3;

    private NpgsqlConnection? _transactional;

    /// <summary>Whether what is written here is kept only when the whole of a transaction is.</summary>
    public bool IsInTransaction => _transactional is not null;

    /// <summary>Reads at most one row. Repeated once when it met a connection that had died in the pool.</summary>
    public Task<T?> Row<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct)
        where T : class =>
        Bounded(connection => connection.QueryFirstOrDefaultAsync<T>(PositionalSql.Command(sql, parameters)), Failure.IsDeadConnection, ct);

    /// <summary>Reads rows. Repeated once when it met a connection that had died in the pool.</summary>
    public Task<IReadOnlyList<T>> Rows<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct) =>
        Bounded(
            async connection => (IReadOnlyList<T>)(await connection.QueryAsync<T>(PositionalSql.Command(sql, parameters))).AsList(),
            Failure.IsDeadConnection,
            ct
        );

    /// <summary>
    /// Decides, changes and audits in one statement, and reads the row that tells what came of it. Repeated only when the database itself
    /// says that it undid everything.
    /// </summary>
    public Task<T?> Change<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct)
        where T : class =>
        Bounded(connection => connection.QueryFirstOrDefaultAsync<T>(PositionalSql.Command(sql, parameters)), Failure.IsUndone, ct);

    /// <summary>
    /// The same for two statements, of which the first waits for a lock and the second does the rest: one round trip and one
    /// transaction, in which the second sees all that was committed during the wait.
    /// </summary>
    public Task<T?> ChangeLocked<T>([StringSyntax("PostgreSQL")] string sql, object? parameters, CancellationToken ct)
        where T : class =>
        Bounded(
            async connection =>
            {
                await using var results = await connection.QueryMultipleAsync(new CommandDefinition(sql, parameters));
                _ = await results.ReadAsync();
                return await results.ReadFirstOrDefaultAsync<T>();
            },
            Failure.IsUndone,
            ct
        );

    /// <summary>
    /// Runs <paramref name="work"/>, with all calls on this object inside it, in one transaction that is kept when <paramref name="keep"/>
    /// says so.
    /// </summary>
    public Task<T> InTransaction<T>(Func<Task<T>> work, Func<T, bool> keep, CancellationToken ct) => Transact(work, keep, ct).OrDetach(ct);

    /// <summary>
    /// Runs work that takes long and uses other connections; a transaction that is under way here is kept alive meanwhile.
    /// </summary>
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
        // Without the token from here on: to cancel what is under way, Npgsql asks the server, and whoever waits for this waits until it
        // has answered. What hangs is left behind by OrDetach instead, also where it is the commit that does.
        await using var transaction = await connection.BeginTransactionAsync(CancellationToken.None);
        _transactional = connection;
        try
        {
            var result = await work();
            // Nobody waits for this any more, so it shall not have happened.
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
        // Inside a transaction it is the whole that is left behind; its connection must not be closed under a running statement.
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
