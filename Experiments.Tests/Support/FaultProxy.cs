using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;

namespace Experiments.Tests.Support;

/// <summary>
/// Stands between a service and its PostgreSQL. It falls silent, at once or at a word: from then on nothing goes through in either
/// direction, on no connection, and nobody is told. Or it breaks connections in the middle of what the server answers.
/// </summary>
public sealed class FaultProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly NpgsqlConnectionStringBuilder _server;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _accepting;
    private volatile string? _word;
    private volatile TaskCompletionSource? _silence;
    private int _breaks;

    public FaultProxy(string connectionString)
    {
        _server = new NpgsqlConnectionStringBuilder(connectionString);
        _listener.Start();
        _accepting = Accept();
    }

    public string ConnectionString =>
        new NpgsqlConnectionStringBuilder(_server.ConnectionString)
        {
            Host = "127.0.0.1",
            Port = ((IPEndPoint)_listener.LocalEndpoint).Port,
        }.ConnectionString;

    /// <summary>How many answers are still to be broken off.</summary>
    public int BreaksLeft => Volatile.Read(ref _breaks);

    /// <summary>Falls silent.</summary>
    public void Hang() => _silence ??= new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Breaks off this many answers in their middle, about one in three.</summary>
    public void BreakAnswers(int count) => Volatile.Write(ref _breaks, count);

    /// <summary>Falls silent when a client says this.</summary>
    public void HangAt(string word) => _word = word;

    /// <summary>Lets everything through again.</summary>
    public void GoOn()
    {
        _word = null;
        Interlocked.Exchange(ref _silence, null)?.TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        GoOn();
        _listener.Stop();
        await _accepting;
        _end.Dispose();
    }

    private async Task Accept()
    {
        try
        {
            while (true)
            {
                _ = Serve(await _listener.AcceptSocketAsync(_end.Token));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // It is over.
        }
    }

    private async Task Serve(Socket client)
    {
        using var here = client;
        await Pass();
        using var there = _server.Host!.StartsWith('/')
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp);
        await there.ConnectAsync(
            _server.Host.StartsWith('/')
                ? new UnixDomainSocketEndPoint(Path.Combine(_server.Host, $".s.PGSQL.{_server.Port}"))
                : new DnsEndPoint(_server.Host, _server.Port)
        );
        await Task.WhenAny(Pump(here, there, isClient: true), Pump(there, here, isClient: false));
    }

    private async Task Pump(Socket from, Socket to, bool isClient)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer, _end.Token) is > 0 and var read)
            {
                if (isClient && _word is { } word && Encoding.ASCII.GetString(buffer, 0, read).Contains(word, StringComparison.Ordinal))
                {
                    Hang();
                }

                await Pass();
                if (!isClient && Volatile.Read(ref _breaks) > 0 && Random.Shared.Next(3) == 0 && Interlocked.Decrement(ref _breaks) >= 0)
                {
                    await to.SendAsync(buffer.AsMemory(0, read / 2), _end.Token);
                    // A reset instead of an orderly end.
                    to.LingerState = new LingerOption(true, 0);
                    return;
                }

                await to.SendAsync(buffer.AsMemory(0, read), _end.Token);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // One of the two has hung up.
        }
    }

    private Task Pass() => _silence?.Task ?? Task.CompletedTask;
}
