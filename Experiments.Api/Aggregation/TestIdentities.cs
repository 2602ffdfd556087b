using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Aggregation;

/// <summary>Identities that have a trait of one of these values, or for which at least one of these rules holds.</summary>
/// <param name="Trait">The name of a trait; it and <paramref name="Values"/> are the short form of one rule.</param>
/// <param name="Values">The values of that trait.</param>
/// <param name="Rules">Conditions on traits.</param>
internal sealed record TestIdentities(
    [property: Must(MaxLength = 200)] string? Trait = null,
    IReadOnlyList<JsonElement>? Values = null,
    IReadOnlyList<TraitRule?>? Rules = null
)
{
    /// <summary>The maximum number of rules, and of values.</summary>
    public const int Most = 100;

    /// <summary>Whether it can be told who is one.</summary>
    [JsonIgnore]
    public bool IsValid =>
        (Trait is null) == (Values is null)
        && (Trait is not null || Rules is { Count: > 0 })
        && (Rules ?? []).All(rule => rule is { IsValid: true });

    /// <summary>Whether somebody with these traits is one.</summary>
    public bool Have(JsonElement traits) =>
        (
            Trait is not null
            && traits.ValueKind == JsonValueKind.Object
            && traits.TryGetProperty(Trait, out var actual)
            && Values!.Any(value => JsonElement.DeepEquals(value, actual))
        )
        || Rules?.Any(rule => rule!.Holds(traits)) == true;
}

/// <summary>A condition on a trait. A negated one holds for whoever does not have the trait; every other one does not.</summary>
/// <param name="Trait">The name of the trait.</param>
/// <param name="Operator">What must be true of it.</param>
/// <param name="Value">What it is compared with.</param>
internal sealed record TraitRule(
    [property: Must(Required = true, MaxLength = 200)] string? Trait = null,
    [property: Must(Required = true), FilterOperators] string? Operator = null,
    JsonElement? Value = null
)
{
    // The same operators as conditions on events have.
    private MetricFilter Filter => new(Trait, Operator, Value);

    /// <summary>What is wrong with the operator and its value, or null.</summary>
    [JsonIgnore]
    public string? Error => Filter.Error;

    [JsonIgnore]
    public bool IsValid => !string.IsNullOrWhiteSpace(Trait) && Error is null;

    /// <summary>Whether it holds for somebody with these traits.</summary>
    public bool Holds(JsonElement traits) =>
        Filter.Holds(
            traits.ValueKind != JsonValueKind.Object || !traits.TryGetProperty(Trait!, out var actual) ? null
            : actual.ValueKind == JsonValueKind.String ? actual.GetString()
            : actual.ValueKind is JsonValueKind.Null or JsonValueKind.Object or JsonValueKind.Array ? null
            : actual.GetRawText()
        );
}
