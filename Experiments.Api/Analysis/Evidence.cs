namespace Experiments.Api.Analysis;

/// <summary>
/// What the hourly looks at the results have found so far. Evidence of a test that is valid at any number of looks does not go backwards:
/// the smallest p-value and the intersection of the intervals stand. Readers add no look. It begins anew when the results are recomputed
/// from events, when the experiment is reset, and for a metric whose direction or margin is corrected.
/// </summary>
/// <param name="Since">The time of the first look.</param>
/// <param name="Looks">The number of looks.</param>
/// <param name="Metrics">For each metric of the experiment, by its link id, what was found for each treatment.</param>
internal sealed record Evidence(DateTime Since, int Looks, IReadOnlyDictionary<long, IReadOnlyList<ArmEvidence>> Metrics)
{
    /// <summary>What earlier looks have found for a treatment, by its index among the treatments.</summary>
    public static ArmEvidence Of(Evidence? earlier, long link, int treatment) =>
        earlier is not null && earlier.Metrics.TryGetValue(link, out var arms) && treatment < arms.Count
            ? arms[treatment]
            : ArmEvidence.None;
}

/// <summary>What was found for one treatment by one metric.</summary>
/// <param name="Tests">The tests of the means or conversions.</param>
/// <param name="PValueOfHarm">The smallest p-value of a smaller share of identities with a value; see <see cref="ShareWithValue"/>.</param>
internal sealed record ArmEvidence(SequentialTests Tests, double PValueOfHarm)
{
    public static readonly ArmEvidence None = new(SequentialTests.None, 1);
}
