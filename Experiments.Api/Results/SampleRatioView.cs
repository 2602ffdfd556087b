using Experiments.Api.Statistics;

namespace Experiments.Api.Results;

/// <summary>Whether the variants have the identities that their weights promise. Both are null before anyone has come.</summary>
internal sealed record SampleRatioView(double? PValue, bool? IsHealthy)
{
    public static SampleRatioView Of(IReadOnlyList<long> identities, IEnumerable<decimal> shares)
    {
        double[] weights = [.. shares.Select(share => (double)share)];
        var p = SampleRatio.PValue(identities, weights);
        return new(p, p is null || !SampleRatio.IsTelling(identities.Sum(), weights) ? null : p >= SampleRatio.Alarm);
    }
}
