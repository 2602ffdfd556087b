using System.Runtime.CompilerServices;

namespace Experiments.Api.Platform.Data;

/// <summary>Waits for work until a token is cancelled, and then abandons the work.</summary>
internal static class DetachingExtensions
{
    /// <summary>
    /// Like <see cref="Task{TResult}.WaitAsync(CancellationToken)"/>, but continues on the thread that completed the work. Queueing to
    /// another thread would be noticeable in a request of one round trip.
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
            catch (OperationCanceledException canceled)
            {
                TrySetCanceled(canceled.CancellationToken);
            }
            catch (Exception exception)
            {
                TrySetException(exception);
            }
        }
    }
}
