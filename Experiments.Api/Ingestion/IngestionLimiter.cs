using System.Threading.RateLimiting;
using Experiments.Api.Platform;

namespace Experiments.Api.Ingestion;

/// <summary>
/// Limits how much is ingested at a time to the available memory. Anyone may send events, so a body is charged for the bytes received,
/// not for its declared length. Small bodies, which are the majority, never wait for large ones.
/// </summary>
/// <param name="shares">What each environment and each address may hold.</param>
/// <param name="atOnce">How many bodies are processed at a time.</param>
internal sealed class IngestionLimiter(IngestionShares shares, int atOnce = IngestionLimiter.AtOnce) : IDisposable
{
    private const int Unit = 1024;

    // In units: 32 MiB for small bodies, and 64 MiB for what large bodies need beyond that.
    private readonly ConcurrencyLimiter _small = Limiter(32 * 1024, 64 * 1024);
    private readonly ConcurrencyLimiter _large = Limiter(64 * 1024, 256 * 1024);

    /// <summary>
    /// How many bodies are processed at a time where each is stored by itself, each up to 5 MiB plus its parsed events. Some slots are
    /// reserved for small bodies.
    /// </summary>
    public const int AtOnce = 16;

    /// <summary>The same where those that come together are stored together, and wait for that.</summary>
    public const int AtOnceTogether = 1024;

    private readonly ConcurrencyLimiter _working = Limiter(atOnce, 512);
    private readonly ConcurrencyLimiter _workingOnLarge = Limiter(atOnce * 3 / 4, 512);

    // Large bodies of one environment leave places to those of others.
    private readonly PartitionedRateLimiter<long> _largeOfOne = PartitionedRateLimiter.Create<long, long>(environment =>
        RateLimitPartition.GetConcurrencyLimiter(environment, _ => Options(atOnce / 2, 512))
    );

    /// <summary>Reads the events of a request, and passes them on while it holds a processing slot.</summary>
    public Task<Result<T>> Take<T>(
        HttpRequest request,
        long environmentId,
        DateTime now,
        Func<EventBatch, Task<T>> work,
        CancellationToken ct
    )
        where T : class
    {
        return Take(request, new Sender(environmentId), _ => new(new Sender(environmentId)), Work, ct);

        async Task<Result<T>> Work(EventBody.Lent body, Sender sender)
        {
            var batch = EventBatchParser.Read(body.Span, environmentId, now);
            return batch.Failure is { } refusal ? refusal : await work(batch.Value!);
        }
    }

    /// <summary>Reads and decodes the body of a request, and passes it on while it holds a processing slot.</summary>
    /// <param name="request">The request.</param>
    /// <param name="reader">Whose share the body takes while it is read.</param>
    /// <param name="identify">Finds whose share the body takes from then on.</param>
    /// <param name="work">What is done with the body, which is gone when this returns.</param>
    /// <param name="ct">Ends it.</param>
    public async Task<Result<T>> Take<T>(
        HttpRequest request,
        Sender reader,
        Func<EventBody.Lent, ValueTask<Result<Sender>>> identify,
        Func<EventBody.Lent, Sender, Task<Result<T>>> work,
        CancellationToken ct
    )
        where T : class
    {
        var leases = new List<RateLimitLease>();
        var (sender, small, large, isOverdrawn) = (reader, 0, 0, false);
        var address = request.HttpContext.Connection.RemoteIpAddress;
        try
        {
            var body = await EventBody.Read(request, Room, ct);
            // A compressed body never counts as small.
            var isLarge = false;
            if (body.Failure is null)
            {
                isLarge = body.Value!.Length > EventBody.Small || ContentCoding.IsUsed(request) || ContentCoding.IsGzip(body.Value.Span);
                body = await EventBody.Decode(body.Value, request, Room, ct);
            }

            if (body.Failure is { } unread)
            {
                return isOverdrawn ? Problem.TooMuchAtOnce : unread;
            }

            using var lent = body.Value!;
            isLarge |= lent.Length > EventBody.Small;
            var identified = await identify(lent);
            if (identified.Failure is { } unknown)
            {
                return unknown;
            }

            if (!TryPassTo(identified.Value!))
            {
                return Problem.TooMuchAtOnce;
            }

            return
                (isLarge && !(await Turn(_largeOfOne.AcquireAsync(sender.EnvironmentId, 1, ct)) && await Wait(_workingOnLarge, 1)))
                || !await Wait(_working, 1)
                ? Problem.Unavailable
                : await work(lent, sender);
        }
        finally
        {
            leases.ForEach(lease => lease.Dispose());
            shares.GiveBack(sender.EnvironmentId, address, isLarge: false, small);
            shares.GiveBack(sender.EnvironmentId, address, isLarge: true, large);
        }

        // A body waits only for its first piece beyond the size of a small body. If bodies waited for more while holding some memory,
        // they could deadlock.
        ValueTask<bool> Room(int bytes)
        {
            var isSmall = small + large + bytes <= EventBody.Small;
            if (!shares.TryTake(sender.EnvironmentId, address, !isSmall, bytes))
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

        // What was read on the share of another goes on this sender's.
        bool TryPassTo(Sender owner)
        {
            if (owner == sender)
            {
                return true;
            }

            shares.GiveBack(sender.EnvironmentId, address, isLarge: false, small);
            shares.GiveBack(sender.EnvironmentId, address, isLarge: true, large);
            sender = owner;
            var (takenSmall, takenLarge) = (small, large);
            (small, large) = (0, 0);
            if (!shares.TryTake(sender.EnvironmentId, address, isLarge: false, takenSmall))
            {
                return false;
            }

            small = takenSmall;
            if (!shares.TryTake(sender.EnvironmentId, address, isLarge: true, takenLarge))
            {
                return false;
            }

            large = takenLarge;
            return true;
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

    /// <summary>Whose share of the memory a body takes.</summary>
    /// <param name="EnvironmentId">The id of the environment, or 0 before it is known.</param>
    internal sealed record Sender(long EnvironmentId)
    {
        /// <summary>Whoever says in the body who it is.</summary>
        public static readonly Sender Unknown = new(0);
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
