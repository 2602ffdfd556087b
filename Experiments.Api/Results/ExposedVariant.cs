namespace Experiments.Api.Results;

/// <summary>How many identities count in a variant, and their share of all that count.</summary>
internal sealed record ExposedVariant(string Key, decimal Weight, long Identities, double? Share)
{
    public static IReadOnlyList<ExposedVariant> Of(IEnumerable<(string Key, decimal Weight)> variants, IReadOnlyList<long> identities)
    {
        var total = identities.Sum();
        return
        [
            .. variants.Zip(
                identities,
                (variant, count) => new ExposedVariant(variant.Key, variant.Weight, count, total == 0 ? null : (double)count / total)
            ),
        ];
    }
}
