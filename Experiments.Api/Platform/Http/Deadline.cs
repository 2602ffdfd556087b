using Microsoft.Extensions.ObjectPool;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Cancels <see cref="HttpContext.RequestAborted"/> when the time of a request is up. ASP.NET's middleware for it costs a request of one
/// round trip some 3 % of its processor time: a state machine, a linked token and a feature. This one is reused.
/// </summary>
internal sealed class Deadline : IResettable, IDisposable
{
    private const int MostKept = 1024;

    private static readonly DefaultObjectPool<Deadline> Pool = new(new DefaultPooledObjectPolicy<Deadline>(), MostKept);

    private readonly CancellationTokenSource _source = new();
    private CancellationToken _aborted;
    private CancellationTokenRegistration _registration;

    /// <summary>Whether the time is up, rather than the client gone.</summary>
    public bool HasPassed => _source.IsCancellationRequested && !_aborted.IsCancellationRequested;

    public static Deadline Begin(HttpContext http, TimeSpan limit)
    {
        var deadline = Pool.Get();
        deadline._aborted = http.RequestAborted;
        deadline._registration = deadline._aborted.UnsafeRegister(
            static source => ((CancellationTokenSource)source!).Cancel(),
            deadline._source
        );
        deadline._source.CancelAfter(limit);
        http.RequestAborted = deadline._source.Token;
        return deadline;
    }

    public void End(HttpContext http)
    {
        // Waits for a cancellation that is under way, so that it does not reach the next request.
        _registration.Dispose();
        http.RequestAborted = _aborted;
        Pool.Return(this);
    }

    /// <summary>One that has passed is not used again: what it cancelled may still look at it.</summary>
    public bool TryReset() => _source.TryReset();

    public void Dispose() => _source.Dispose();
}

/// <summary>How long a route may take, where it is not as long as others.</summary>
/// <param name="Limit">Null for as long as it takes.</param>
internal sealed record TimeLimit(TimeSpan? Limit);
