using Dapper;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// Keeps a transaction that holds a lock from being ended as idle while its owner works elsewhere. Its connection must not be used for
/// anything else in the meantime. If the process freezes, the heartbeat stops, and the server ends the transaction.
/// </summary>
internal sealed class Heartbeat : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _beating;

    private Heartbeat(NpgsqlConnection connection) => _beating = Beat(connection, _stop.Token);

    public static Heartbeat Of(NpgsqlConnection connection) => new(connection);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _beating;
        _stop.Dispose();
    }

    private static async Task Beat(NpgsqlConnection connection, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(DatabaseSetup.Idle / 5);
        try
        {
            while (await timer.WaitForNextTickAsync(stop))
            {
                await connection.ExecuteAsync("SELECT 1");
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The owner has resumed.
        }
    }
}
