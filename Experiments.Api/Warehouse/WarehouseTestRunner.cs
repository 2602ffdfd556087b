using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Warehouse;

/// <summary>
/// What the admins of projects try out on their warehouses: a few tests at once, and apart from what is read by the hour.
/// </summary>
internal sealed class WarehouseTestRunner : IDisposable
{
    // How many tests are at work at once, of all projects and of one. They are short, and one that waits for its warehouse holds little.
    private const int Tests = 32;
    private const int TestsOfProject = 2;

    // How long a test waits for its turn.
    private static readonly TimeSpan TurnPatience = TimeSpan.FromMilliseconds(500);

    private readonly ProjectTurns _turns = new(Tests, TestsOfProject);

    /// <summary>Runs a test when it is its turn. Returns what it found, or what to mend.</summary>
    public async Task<Result<T>> Run<T>(Db db, long projectId, Func<Task<T>> test, CancellationToken ct)
        where T : class
    {
        try
        {
            return await db.Elsewhere<Result<T>>(async () =>
            {
                using var turn = await _turns.Take(projectId, TurnPatience, ct);
                return turn is null ? TooMany : await test();
            });
        }
        catch (WarehouseException exception)
        {
            return new ProblemResult(Problem.WarehouseFailed, exception.Message);
        }
    }

    public void Dispose() => _turns.Dispose();

    private static ProblemResult TooMany =>
        new(Problem.TooMany, "Other tests still wait for their warehouses. Retry after the seconds in Retry-After.") { RetryAfter = 10 };
}
