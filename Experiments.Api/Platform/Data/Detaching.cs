namespace Experiments.Api.Platform.Data;

/// <summary>Waits for work no longer than a token allows, and leaves it behind then.</summary>
internal static class Detaching
{
    /// <summary>
    /// As <see cref="Task{TResult}.WaitAsync(CancellationToken)"/>, but goes on where the work has ended instead of being queued
    /// to another thread, which a request that costs one round trip would feel.
    /// </summary>
    public static Task<T> OrDetach<T>(this Task<T> work, CancellationToken ct)
    {
        if (work.IsCompleted || !ct.CanBeCanceled)
        {
            return work;
        }

        var waiting = new TaskCompletionSource<T>();
        var registration = ct.UnsafeRegister(static (state, token) => ((TaskCompletionSource<T>)state!).TrySetCanceled(token), waiting);
        _ = Follow(work, waiting, registration);
        return waiting.Task;
    }

    private static async Task Follow<T>(Task<T> work, TaskCompletionSource<T> waiting, CancellationTokenRegistration registration)
    {
        try
        {
            var result = await work.ConfigureAwait(false);
            await registration.DisposeAsync().ConfigureAwait(false);
            waiting.TrySetResult(result);
        }
        catch (Exception exception)
        {
            waiting.TrySetException(exception);
        }
    }
}
