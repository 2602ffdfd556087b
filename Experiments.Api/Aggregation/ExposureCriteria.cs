using System.Text.Json;

namespace Experiments.Api.Aggregation;

/// <summary>What shows an identity its variant, who is left out, and what becomes of those who saw several variants.</summary>
/// <param name="Event">The event that is an exposure instead of <c>$flag_exposure</c>.</param>
/// <param name="FeatureProperty">The member of its metadata that names the variant; without it whoever sends the event saw its own.</param>
/// <param name="TestIdentities">Who is left out, by a trait that comes with the exposure.</param>
/// <param name="MultipleVariants"><c>exclude</c>, or <c>first_seen</c>: they count in the one that they saw first.</param>
internal sealed record ExposureCriteria(
    string? Event = null,
    string? FeatureProperty = null,
    TestIdentities? TestIdentities = null,
    string? MultipleVariants = null
)
{
    public const string Exclude = "exclude";
    public const string FirstSeen = "first_seen";
}

/// <summary>Identities that have a trait of one of these values.</summary>
internal sealed record TestIdentities(string? Trait = null, IReadOnlyList<JsonElement>? Values = null)
{
    public bool Have(JsonElement traits) =>
        traits.ValueKind == JsonValueKind.Object
        && traits.TryGetProperty(Trait!, out var actual)
        && Values!.Any(value => JsonElement.DeepEquals(value, actual));
}
