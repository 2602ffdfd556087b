using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>A flag as Flagsmith's SDKs read it.</summary>
[Example(
    """
        {"id": 1, "enabled": true, "feature_state_value": "green", "feature": {"id": 1, "name": "button_colour", "type": "MULTIVARIATE"},
         "variant": "green", "reason": "SPLIT", "metadata": {"experiment": {"id": 1, "name": "Green button", "in_experiment": true}}}
        """
)]
internal sealed record FlagsmithFlag(
    long Id,
    bool Enabled,
    JsonElement? FeatureStateValue,
    FlagsmithFlagFeature Feature,
    string? Variant,
    string Reason,
    FlagsmithFlagMetadata Metadata
);

/// <summary>The feature of a flag.</summary>
internal sealed record FlagsmithFlagFeature(long Id, string Name, [property: Words("STANDARD", "MULTIVARIATE")] string Type);

/// <summary>Why the flag has this value.</summary>
/// <param name="Experiment">The experiment that is running on the flag.</param>
/// <param name="Holdout">Without an experiment, the holdout whose identities keep the former value.</param>
internal sealed record FlagsmithFlagMetadata(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] FlagsmithFlagExperiment? Experiment = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Holdout = null
);

/// <summary>The experiment that is running on the flag.</summary>
/// <param name="Id">The experiment that is running on the flag.</param>
/// <param name="Name">Its name.</param>
/// <param name="InExperiment">Whether the identity takes part.</param>
/// <param name="Holdout">The holdout that keeps it out, where one does.</param>
internal sealed record FlagsmithFlagExperiment(
    long Id,
    string Name,
    bool InExperiment,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? Holdout = null
);

/// <summary>An identity with its flags, as Flagsmith's SDKs read it.</summary>
[Example(
    """
        {"identifier": "user-1", "traits": [], "flags": [
            {"id": 1, "enabled": true, "feature_state_value": "green",
                "feature": {"id": 1, "name": "button_colour", "type": "MULTIVARIATE"},
             "variant": "green", "reason": "SPLIT", "metadata": {"experiment": {"id": 1, "name": "Green button", "in_experiment": true}}}]}
        """
)]
internal sealed record FlagsmithIdentity(string Identifier, IReadOnlyList<Trait> Traits, IReadOnlyList<FlagsmithFlag> Flags);

/// <summary>Something that the application knows of an identity. It is given back as it came, and not kept.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
internal sealed record Trait(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? TraitKey = null,
    JsonElement? TraitValue = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] bool? Transient = null
);
