using System.Collections.Concurrent;
using Experiments.Api.Platform.Startup;

namespace Experiments.Api.Evaluation;

/// <summary>
/// Wakes the connections that wait for an environment to change. Those of one environment share one task, so that a change costs a write
/// for each of them and nothing else.
/// </summary>
internal sealed class ChangeStreams : BackgroundService
{
    /// <summary>How many connections one replica keeps open.</summary>
    public const int Most = 20_000;

    /// <summary>How many of them one environment may have, so that others find a place.</summary>
    public const int MostOfEnvironment = Most / 2;

    // What is announced at one replica may come to another a moment later, and a client may ask that one.
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(250);

    // Shorter than what proxies take for a dead connection.
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(25);

    private readonly ConcurrentDictionary<string, TaskCompletionSource<Signal>> _waiting = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<long, int> _open = new();
    private int _all;
    private volatile bool _isOver;

    public ChangeStreams(Snapshots snapshots, IHostApplicationLifetime lifetime, Instruments instruments)
    {
        snapshots.Replaced += key => _ = Announce(key);
        lifetime.ApplicationStopping.Register(() =>
        {
            _isOver = true;
            WakeAll(Signal.Over);
        });
        instruments.Observe("experiments.streams", "{connection}", "Connections that wait for flags to change.", () => _all);
    }

    /// <summary>Whether another connection to this environment finds a place.</summary>
    public bool HasRoom(long environmentId) => _all < Most && _open.GetValueOrDefault(environmentId) < MostOfEnvironment;

    /// <summary>Takes a place, which must be given back with <see cref="Leave"/>.</summary>
    public bool TryEnter(long environmentId)
    {
        var (all, ofEnvironment) = (Interlocked.Increment(ref _all), _open.AddOrUpdate(environmentId, 1, (_, open) => open + 1));
        if (all <= Most && ofEnvironment <= MostOfEnvironment)
        {
            return true;
        }

        Leave(environmentId);
        return false;
    }

    public void Leave(long environmentId)
    {
        Interlocked.Decrement(ref _all);
        _open.AddOrUpdate(environmentId, 0, (_, open) => open - 1);
    }

    /// <summary>The next thing that happens to the environment with this key.</summary>
    public Task<Signal> Next(string key) =>
        _isOver
            ? Task.FromResult(Signal.Over)
            : _waiting.GetOrAdd(key, static _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Beat);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            WakeAll(Signal.Beat);
        }
    }

    private async Task Announce(string key)
    {
        await Task.Delay(Settle);
        Wake(key, Signal.Changed);
    }

    private void WakeAll(Signal signal)
    {
        foreach (var key in _waiting.Keys)
        {
            Wake(key, signal);
        }
    }

    private void Wake(string key, Signal signal)
    {
        if (_waiting.TryRemove(key, out var waiting))
        {
            waiting.SetResult(signal);
        }
    }

    /// <summary>What a connection is woken for.</summary>
    internal enum Signal
    {
        /// <summary>The environment has changed, or is gone.</summary>
        Changed,

        /// <summary>Nothing has happened for a while.</summary>
        Beat,

        /// <summary>The service stops.</summary>
        Over,
    }
}
