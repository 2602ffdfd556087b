using System.Net;
using System.Net.Sockets;

namespace Experiments.Tests.Events;

/// <summary>Forwards connections to another port, once it is open; until then nobody listens.</summary>
internal sealed class Forwarder : IAsyncDisposable
{
    private readonly int _target;
    private readonly CancellationTokenSource _end = new();
    private TcpListener? _listener;
    private Task _accepting = Task.CompletedTask;

    public Forwarder(int target)
    {
        _target = target;
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        Port = ((IPEndPoint)free.LocalEndpoint).Port;
    }

    public int Port { get; }

    public void Open()
    {
        _listener = new(IPAddress.Loopback, Port);
        _listener.Start();
        _accepting = Accept(_listener);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener?.Dispose();
        await _accepting;
        _end.Dispose();
    }

    private async Task Accept(TcpListener listener)
    {
        try
        {
            while (true)
            {
                _ = Forward(await listener.AcceptTcpClientAsync(_end.Token));
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // It is closed.
        }
    }

    private async Task Forward(TcpClient from)
    {
        using (from)
        {
            try
            {
                using var to = new TcpClient();
                await to.ConnectAsync(IPAddress.Loopback, _target, _end.Token);
                await Task.WhenAny(
                    from.GetStream().CopyToAsync(to.GetStream(), _end.Token),
                    to.GetStream().CopyToAsync(from.GetStream(), _end.Token)
                );
            }
            catch (Exception exception) when (exception is OperationCanceledException or IOException or SocketException)
            {
                // Either end has gone.
            }
        }
    }
}
