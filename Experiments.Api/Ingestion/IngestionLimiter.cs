using System.Threading.RateLimiting;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Lets in as much at a time as there is memory for. Anyone may send events, so a body costs what has come of it and not what it says will
/// come, and small ones, which are most, never wait behind large ones.
/// </summary>
internal sealed class IngestionLimiter : IDisposable
{
    private const int Unit = 1024;

    // In units: 32 MiB of small bodies, and 64 MiB of what large ones have beyond that.
    private readonly ConcurrencyLimiter _small = Limiter(32 * 1024, 64 * 1024);
    private readonly ConcurrencyLimiter _large = Limiter(64 * 1024, 256 * 1024);

    // Sixteen that are being worked on, of 5 MiB at most and what is made of them; of which some are always left for small ones.
    private readonly ConcurrencyLimiter _working = Limiter(16, 512);
    private readonly ConcurrencyLimiter _workingOnLarge = Limiter(12, 512);

    /// <summary>Reads the events of a request, and hands them on while there is a place to work on them.</summary>
    public async Task<Result<T>> Take<T>(
        HttpRequest request,
        long environmentId,
        DateTime now,
        Func<EventBatch, Task<T>> work,
        CancellationToken ct
    )
        where T : class
    {
        var leases = new List<RateLimitLease>();
        var taken = 0;
        try
        {
            var body = await RequestBody.ReadEvents(request, Room, ct);
            if (body.Failure is { } unread)
            {
                return unread;
            }

            // What is packed may be large, however small it is.
            var isLarge = body.Value!.Length > RequestBody.SmallEvents || RequestBody.IsPacked(request);
            if ((isLarge && !await Wait(_workingOnLarge, 1)) || !await Wait(_working, 1))
            {
                body.Value.Dispose();
                return Problem.Unavailable;
            }

            var batch = await Read(body.Value, request, environmentId, now, ct);
            return batch.Failure is { } refusal ? refusal : await work(batch.Value!);
        }
        finally
        {
            leases.ForEach(lease => lease.Dispose());
        }

        // A body waits for its first piece beyond a small one's, and for no other: if those that have some waited for more, none would get
        // it.
        ValueTask<bool> Room(int bytes)
        {
            var before = taken;
            taken += bytes;
            return taken <= RequestBody.SmallEvents ? Wait(_small, Units(bytes))
                : before <= RequestBody.SmallEvents ? Wait(_large, Units(bytes))
                : new(Keep(_large.AttemptAcquire(Units(bytes))));
        }

        // Whoever has waited in vain was not too slow; there was no room.
        async ValueTask<bool> Wait(ConcurrencyLimiter limiter, int permits)
        {
            try
            {
                return Keep(await limiter.AcquireAsync(permits, ct));
            }
            catch (OperationCanceledException)
            {
                return false;
            }
        }

        bool Keep(RateLimitLease lease)
        {
            leases.Add(lease);
            return lease.IsAcquired;
        }
    }

    private static int Units(int bytes) => (bytes + Unit - 1) / Unit;

    public void Dispose()
    {
        _small.Dispose();
        _large.Dispose();
        _working.Dispose();
        _workingOnLarge.Dispose();
    }

    private static ConcurrencyLimiter Limiter(int permits, int queue) =>
        new(
            new()
            {
                PermitLimit = permits,
                QueueLimit = queue,
                QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
            }
        );

    private static async Task<Result<EventBatch>> Read(
        RequestBody.Lent body,
        HttpRequest request,
        long environmentId,
        DateTime now,
        CancellationToken ct
    )
    {
        var unpacked = RequestBody.IsPacked(request) ? await RequestBody.Unpack(body, ct) : body;
        if (unpacked.Failure is { } refusal)
        {
            return refusal;
        }

        using var lent = unpacked.Value!;
        var read = EventBatchParser.Read(lent.Span, environmentId, now);
        return read.Value is { Accepted: 0, Rejected: var rejected }
            ? ProblemResult.Fields(rejected.Select(rejection => rejection.AsField))
            : read;
    }
}
