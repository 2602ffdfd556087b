using System.Threading.RateLimiting;
using Experiments.Api.Platform;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Limits how much is ingested at a time to the available memory. Anyone may send events, so a body is charged for the bytes received,
/// not for its declared length. Small bodies, which are the majority, never wait for large ones.
/// </summary>
internal sealed class IngestionLimiter(IngestionShares shares) : IDisposable
{
    private const int Unit = 1024;

    // In units: 32 MiB for small bodies, and 64 MiB for what large bodies need beyond that.
    private readonly ConcurrencyLimiter _small = Limiter(32 * 1024, 64 * 1024);
    private readonly ConcurrencyLimiter _large = Limiter(64 * 1024, 256 * 1024);

    // At most sixteen bodies are processed at a time, each up to 5 MiB plus its parsed events. Some slots are reserved for small bodies.
    private readonly ConcurrencyLimiter _working = Limiter(16, 512);
    private readonly ConcurrencyLimiter _workingOnLarge = Limiter(12, 512);

    // Large bodies of one environment leave places to those of others.
    private readonly PartitionedRateLimiter<long> _largeOfOne = PartitionedRateLimiter.Create<long, long>(environment =>
        RateLimitPartition.GetConcurrencyLimiter(environment, _ => Options(8, 512))
    );

    /// <summary>Reads the events of a request, and passes them on while it holds a processing slot.</summary>
    public Task<Result<T>> Take<T>(
        HttpRequest request,
        long environmentId,
        DateTime now,
        Func<EventBatch, Task<T>> work,
        CancellationToken ct
    )
        where T : class =>
        Take<T>(
            request,
            environmentId,
            async body =>
            {
                var batch = EventBatchParser.Read(body.Span, environmentId, now);
                return batch.Failure is { } refusal ? refusal : await work(batch.Value!);
            },
            ct
        );

    /// <summary>Reads and decodes the body of a request, and passes it on while it holds a processing slot.</summary>
    /// <param name="request">The request.</param>
    /// <param name="environmentId">Whose share of the memory it uses.</param>
    /// <param name="work">What is done with the body, which is gone when this returns.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<Result<T>> Take<T>(
        HttpRequest request,
        long environmentId,
        Func<EventBody.Lent, Task<Result<T>>> work,
        CancellationToken ct
    )
        where T : class
    {
        var leases = new List<RateLimitLease>();
        var (small, large, isOverdrawn) = (0, 0, false);
        var address = request.HttpContext.Connection.RemoteIpAddress;
        try
        {
            var body = await EventBody.Read(request, Room, ct);
            if (body.Failure is { } unread)
            {
                return isOverdrawn ? Problem.TooMuchAtOnce : unread;
            }

            // A compressed body may be large when unpacked, so it never counts as small.
            var isLarge = body.Value!.Length > EventBody.Small || ContentCoding.IsUsed(request);
            if (
                (isLarge && !(await Turn(_largeOfOne.AcquireAsync(environmentId, 1, ct)) && await Wait(_workingOnLarge, 1)))
                || !await Wait(_working, 1)
            )
            {
                body.Value.Dispose();
                return Problem.Unavailable;
            }

            var decoded = await EventBody.Decode(body.Value, request, ct);
            if (decoded.Failure is { } refusal)
            {
                return refusal;
            }

            using var lent = decoded.Value!;
            return await work(lent);
        }
        finally
        {
            leases.ForEach(lease => lease.Dispose());
            shares.GiveBack(environmentId, address, isLarge: false, small);
            shares.GiveBack(environmentId, address, isLarge: true, large);
        }

        // A body waits only for its first piece beyond the size of a small body. If bodies waited for more while holding some memory,
        // they could deadlock.
        ValueTask<bool> Room(int bytes)
        {
            var isSmall = small + large + bytes <= EventBody.Small;
            if (!shares.TryTake(environmentId, address, !isSmall, bytes))
            {
                isOverdrawn = true;
                return new(false);
            }

            if (isSmall)
            {
                small += bytes;
                return Wait(_small, Units(bytes));
            }

            var isFirst = large == 0;
            large += bytes;
            return isFirst ? Wait(_large, Units(bytes)) : new(Keep(_large.AttemptAcquire(Units(bytes))));
        }

        // A request that times out here was not too slow. There was no capacity for it.
        ValueTask<bool> Wait(ConcurrencyLimiter limiter, int permits) => Turn(limiter.AcquireAsync(permits, ct));

        async ValueTask<bool> Turn(ValueTask<RateLimitLease> turn)
        {
            try
            {
                return Keep(await turn);
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
        _largeOfOne.Dispose();
    }

    private static ConcurrencyLimiter Limiter(int permits, int queue) => new(Options(permits, queue));

    private static ConcurrencyLimiterOptions Options(int permits, int queue) =>
        new()
        {
            PermitLimit = permits,
            QueueLimit = queue,
            QueueProcessingOrder = QueueProcessingOrder.OldestFirst,
        };
}
