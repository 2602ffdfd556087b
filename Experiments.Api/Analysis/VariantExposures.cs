namespace Experiments.Api.Analysis;

/// <summary>The number of identities that count in a variant, and their share of all identities that count.</summary>
internal sealed record VariantExposures(string Key, decimal Weight, long Identities, double? Share)
{
    public static IReadOnlyList<VariantExposures> Of(IEnumerable<(string Key, decimal Weight)> variants, IReadOnlyList<long> identities)
    {
        var total = identities.Sum();
        return
        [
            .. variants.Zip(
                identities,
                (variant, count) => new VariantExposures(variant.Key, variant.Weight, count, total == 0 ? null : (double)count / total)
            ),
        ];
    }
}
