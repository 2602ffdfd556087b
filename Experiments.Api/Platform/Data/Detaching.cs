using System.Runtime.CompilerServices;

namespace Experiments.Api.Platform.Data;

/// <summary>Waits for work no longer than a token allows, and leaves it behind then.</summary>
internal static class Detaching
{
    /// <summary>
    /// As <see cref="Task{TResult}.WaitAsync(CancellationToken)"/>, but goes on where the work has ended instead of being queued
    /// to another thread, which a request that costs one round trip would feel.
    /// </summary>
    public static Task<T> OrDetach<T>(this Task<T> work, CancellationToken ct) =>
        work.IsCompleted || !ct.CanBeCanceled ? work : new Wait<T>(work, ct).Task;

    private sealed class Wait<T> : TaskCompletionSource<T>
    {
        private readonly TaskAwaiter<T> _work;
        private readonly CancellationTokenRegistration _registration;

        public Wait(Task<T> work, CancellationToken ct)
        {
            _work = work.GetAwaiter();
            _registration = ct.UnsafeRegister(static (wait, token) => ((Wait<T>)wait!).TrySetCanceled(token), this);
            _work.UnsafeOnCompleted(End);
        }

        private void End()
        {
            _registration.Unregister();
            try
            {
                TrySetResult(_work.GetResult());
            }
            catch (Exception exception)
            {
                TrySetException(exception);
            }
        }
    }
}
