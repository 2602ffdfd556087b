using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>Whether the number of identities per variant matches the weights. Both members are null before the first exposure.</summary>
internal sealed record SampleRatioView(double? PValue, bool? IsHealthy)
{
    public static SampleRatioView Of(IReadOnlyList<long> identities, IEnumerable<decimal> shares)
    {
        double[] weights = [.. shares.Select(share => (double)share)];
        var p = SampleRatio.PValue(identities, weights);
        return new(p, p is null || !SampleRatio.IsTelling(identities.Sum(), weights) ? null : p >= SampleRatio.Alarm);
    }
}
