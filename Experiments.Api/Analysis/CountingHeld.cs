namespace Experiments.Api.Analysis;

/// <summary>
/// Since when the events of the environment have been on hold, and why: something in it is <c>locked</c>, or aggregation has
/// <c>failed</c>. The service log has the details.
/// </summary>
internal sealed record CountingHeld(DateTime Since, string Reason)
{
    public static CountingHeld? Of(DateTime? since, string? reason) => since is null ? null : new(since.Value, reason!);
}
