namespace Experiments.Api.Results;

/// <summary>
/// Since when the events of the environment wait, and why: something in it is <c>locked</c>, or counting them has <c>failed</c>, as the log
/// of the service says.
/// </summary>
internal sealed record CountingHeld(DateTime Since, string Reason)
{
    public static CountingHeld? Of(DateTime? since, string? reason) => since is null ? null : new(since.Value, reason!);
}
