using System.Collections.Concurrent;

namespace Experiments.Api.Warehouse;

/// <summary>Places for work on warehouses, of which one project takes only some, so that it waits for itself alone.</summary>
/// <param name="all">How many there are.</param>
/// <param name="ofProject">How many of them one project takes at once.</param>
internal sealed class ProjectTurns(int all, int ofProject) : IDisposable
{
    private readonly SemaphoreSlim _all = new(all);
    private readonly ConcurrentDictionary<long, SemaphoreSlim> _projects = new();

    /// <summary>Takes a place until it is disposed of. Returns null if none has become free.</summary>
    /// <param name="projectId">The project.</param>
    /// <param name="patience">How long to wait for the others of the project, and then for those of all.</param>
    /// <param name="ct">Ends the waiting.</param>
    public async Task<IDisposable?> Take(long projectId, TimeSpan patience, CancellationToken ct)
    {
        var own = _projects.GetOrAdd(projectId, _ => new(ofProject));
        if (!await own.WaitAsync(patience, ct))
        {
            return null;
        }

        var isTaken = false;
        try
        {
            isTaken = await _all.WaitAsync(patience, ct);
        }
        finally
        {
            if (!isTaken)
            {
                own.Release();
            }
        }

        return isTaken ? new Place(own, _all) : null;
    }

    public void Dispose() => _all.Dispose();

    private sealed class Place(SemaphoreSlim own, SemaphoreSlim all) : IDisposable
    {
        public void Dispose()
        {
            all.Release();
            own.Release();
        }
    }
}
