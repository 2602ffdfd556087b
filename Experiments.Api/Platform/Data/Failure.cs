using System.Data.Common;
using System.Net.Sockets;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>What an exception of the database means for the request that met it.</summary>
internal static class Failure
{
    // The server has ended a transaction whose client did nothing for too long.
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

    /// <summary>The database undid the statement (a deadlock, a serialisation failure); it may be repeated.</summary>
    public static bool IsUndone(DbException exception) =>
        exception is PostgresException { SqlState: PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure };

    /// <summary>Somebody else holds a lock that was needed, for longer than it was waited for.</summary>
    public static bool IsLocked(Exception exception) => exception is PostgresException { SqlState: PostgresErrorCodes.LockNotAvailable };

    /// <summary>The database is away, slow, full, starting, stopping or out of connections: 503, try again.</summary>
    public static bool IsUnavailable(Exception exception) =>
        exception switch
        {
            OperationCanceledException or TimeoutException or SocketException => true,
            // The first two characters are the class: connection, resources, intervention by an operator, system error; then the
            // rolled back, the read-only standby, and a command sent on a connection that was just broken.
            PostgresException { SqlState: var state } => state[..2] is "08" or "53" or "57" or "58" or "40"
                || state is PostgresErrorCodes.LockNotAvailable
                || state is IdleInTransaction
                || state is PostgresErrorCodes.ReadOnlySqlTransaction,
            NpgsqlException => true,
            ObjectDisposedException { ObjectName: var name } => name?.StartsWith("Npgsql", StringComparison.Ordinal) == true,
            _ => false,
        };
}
