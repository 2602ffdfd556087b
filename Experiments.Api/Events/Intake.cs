using System.Threading.RateLimiting;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Wire;

namespace Experiments.Api.Events;

/// <summary>
/// Lets in as many bodies at a time as there is memory for. Anyone may send events, so what a body may cost is set aside before it is
/// read: the bytes that it says it has, and for the time in which it is unpacked and written, one of a few places.
/// </summary>
internal sealed class Intake : IDisposable
{
    private const int Unit = 1024;

    // 64 MiB of bodies that are arriving; sixteen that are being worked on, of 5 MiB and what is made of them.
    private readonly ConcurrencyLimiter _arriving = new(new() { PermitLimit = 64 * 1024, QueueLimit = 256 * 1024, QueueProcessingOrder = QueueProcessingOrder.OldestFirst });
    private readonly ConcurrencyLimiter _working = new(new() { PermitLimit = 16, QueueLimit = 512, QueueProcessingOrder = QueueProcessingOrder.OldestFirst });

    /// <summary>Reads the events of a request, and hands them on while there is a place to work on them.</summary>
    public async Task<Outcome<T>> Take<T>(HttpRequest request, long environmentId, DateTime now, Func<EventBatch, Task<T>> work, CancellationToken ct)
        where T : class
    {
        // A body that keeps its size to itself may have any.
        var size = (int)Math.Clamp((request.ContentLength ?? RequestBody.EventsLimit) / Unit, 1, RequestBody.EventsLimit / Unit);
        using var arriving = await _arriving.AcquireAsync(size, ct);
        if (!arriving.IsAcquired)
        {
            return Problem.Unavailable;
        }

        var body = await RequestBody.ReadEvents(request, ct);
        if (body.Refusal is { } unread)
        {
            return unread;
        }

        using var working = await _working.AcquireAsync(1, ct);
        if (!working.IsAcquired)
        {
            body.Value!.Dispose();
            return Problem.Unavailable;
        }

        var batch = await Read(body.Value!, request, environmentId, now, ct);
        return batch.Refusal is { } refusal ? refusal : await work(batch.Value!);
    }

    public void Dispose()
    {
        _arriving.Dispose();
        _working.Dispose();
    }

    private static async Task<Outcome<EventBatch>> Read(RequestBody.Lent body, HttpRequest request, long environmentId, DateTime now, CancellationToken ct)
    {
        var unpacked = RequestBody.IsPacked(request) ? await RequestBody.Unpack(body, ct) : body;
        if (unpacked.Refusal is { } refusal)
        {
            return refusal;
        }

        using var lent = unpacked.Value!;
        var read = EventReader.Read(lent.Span, environmentId, now);
        return read.Value is { Accepted: 0, Rejected: var rejected } ? Refusal.Fields(rejected.Select(rejection => rejection.AsField)) : read;
    }
}
