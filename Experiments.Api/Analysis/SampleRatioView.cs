using Experiments.Api.Statistics;

namespace Experiments.Api.Analysis;

/// <summary>
/// Whether the number of identities per variant matches the weights. The alarm is that of the sequential test; the p-value is that of a
/// single look, for information. All members are null before the first exposure.
/// </summary>
internal sealed record SampleRatioView(double? PValue, double? SequentialPValue, bool? IsHealthy)
{
    public static SampleRatioView Of(IReadOnlyList<long> identities, IEnumerable<decimal> shares)
    {
        double[] weights = [.. shares.Select(share => (double)share)];
        var sequential = SequentialSampleRatio.PValue(identities, weights);
        return new(
            SampleRatio.PValue(identities, weights),
            sequential,
            sequential is null ? null : sequential >= SequentialSampleRatio.Alarm
        );
    }
}
