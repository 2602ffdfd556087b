using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Aggregation;

/// <summary>What counts as an exposure, which identities are excluded, and how identities that saw several variants are treated.</summary>
/// <param name="Event">The event that counts as an exposure, instead of <c>$flag_exposure</c>.</param>
/// <param name="FeatureProperty">The metadata member that names the variant. Without it, an identity that sends the event has seen its
/// assigned variant.</param>
/// <param name="TestIdentities">Which identities are excluded, by traits sent with the exposure.</param>
/// <param name="Filters">The conditions that <paramref name="Event"/> must meet to count as an exposure.</param>
/// <param name="MultipleVariants"><c>exclude</c>, or <c>first_seen</c>: they count in the one that they saw first.</param>
internal sealed record ExposureCriteria(
    string? Event = null,
    string? FeatureProperty = null,
    TestIdentities? TestIdentities = null,
    [property: Words(ExposureCriteria.Exclude, ExposureCriteria.FirstSeen)] string? MultipleVariants = null,
    IReadOnlyList<MetricFilter?>? Filters = null
)
{
    public const string Exclude = "exclude";
    public const string FirstSeen = "first_seen";
}
