using System.Data.Common;
using System.Net.Sockets;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>Classifies database exceptions for the request that encountered them.</summary>
internal static class Failure
{
    // The server ended a transaction that was idle for too long.
    private const string IdleInTransaction = "25P03";

    /// <summary>The connection had died; a read may be repeated on another one.</summary>
    public static bool IsDeadConnection(DbException exception) =>
        exception
            is PostgresException { SqlState: PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or IdleInTransaction }
        || (
            exception
            is NpgsqlException { InnerException: IOException or SocketException or EndOfStreamException }
                and not PostgresException
        )
        || IsUndone(exception);

    /// <summary>The database rolled the statement back (a deadlock or a serialisation failure), so it may be retried.</summary>
    public static bool IsUndone(DbException exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure };

    /// <summary>Another transaction held a required lock for longer than the lock time-out.</summary>
    public static bool IsLocked(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable };

    /// <summary>
    /// The database is unreachable, slow, full, starting, stopping or out of connections: answer 503, so that the client retries.
    /// </summary>
    public static bool IsUnavailable(Exception exception) =>
        exception switch
        {
            OperationCanceledException or TimeoutException or SocketException or EventStoreUnavailableException => true,
            // The first two characters are the error class: connection, resources, operator intervention, system error, rollback. Then
            // lock time-outs, a read-only standby, and a command on a broken connection.
            PostgresException { SqlState: var state } => state[..2] is "08" or "53" or "57" or "58" or "40"
                || state is PostgresErrorCodes.LockNotAvailable
                || state is IdleInTransaction
                || state is PostgresErrorCodes.ReadOnlySqlTransaction,
            NpgsqlException => true,
            // What Dapper and tasks make of one of the above.
            System.Data.DataException or AggregateException when exception.InnerException is { } inner => IsUnavailable(inner),
            ObjectDisposedException { ObjectName: var name } => name?.StartsWith("Npgsql", StringComparison.Ordinal) == true,
            _ => false,
        };
}
