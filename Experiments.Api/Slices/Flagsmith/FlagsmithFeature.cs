using System.Text.Json;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>A feature as Flagsmith's front end reads it.</summary>
[Example(
    """
        {"id": 1, "name": "button_colour", "type": "MULTIVARIATE", "description": "", "initial_value": "blue", "default_enabled": true,
         "multivariate_options": [{"id": 1, "uuid": "00000000-0000-0000-0000-000000000001", "key": "green", "type": "unicode",
             "string_value": "green", "integer_value": null, "boolean_value": null, "default_percentage_allocation": 50}],
         "environment_feature_state": {"enabled": true, "feature_state_value": "blue"}, "created_date": "2026-11-22T12:00:00Z"}
        """
)]
internal sealed record FlagsmithFeature(
    long Id,
    string Name,
    [property: Words("STANDARD", "MULTIVARIATE")] string Type,
    string? Description,
    string? InitialValue,
    bool DefaultEnabled,
    IReadOnlyList<FlagsmithOption> MultivariateOptions,
    FlagsmithFeatureState EnvironmentFeatureState,
    DateTime? CreatedDate
)
{
    public static FlagsmithFeature Of(FeatureView feature) =>
        Of(
            feature.Id,
            feature.Name,
            feature.Description,
            feature.Enabled,
            JsonElement.Parse(feature.InitialValue.Text),
            StoredJson.Read<List<FeatureOption>>(feature.MultivariateOptions.Text),
            option => option.DefaultPercentageAllocation,
            feature.CreatedAt
        );

    /// <summary>The feature of an experiment, with the weights of that as the allocations of its options.</summary>
    public static FlagsmithFeature Of(ExperimentFeature feature, IReadOnlyList<Variant> variants) =>
        Of(
            feature.Id,
            feature.Name,
            null,
            feature.Enabled,
            variants[0].Value,
            feature.MultivariateOptions,
            option => variants.FirstOrDefault(variant => variant.Key == option.Key)?.Weight ?? 0,
            null
        );

    private static FlagsmithFeature Of(
        long id,
        string name,
        string? description,
        bool enabled,
        JsonElement? value,
        IReadOnlyList<FeatureOption> options,
        Func<FeatureOption, decimal> allocation,
        DateTime? createdAt
    ) =>
        new(
            id,
            name,
            options.Count == 0 ? "STANDARD" : "MULTIVARIATE",
            description,
            FlagsmithValue.Text(value),
            enabled,
            [.. options.Select(option => FlagsmithOption.Of(option, allocation(option)))],
            new(enabled, FlagsmithValue.Text(value)),
            createdAt
        );
}

/// <summary>What the feature serves in the environment.</summary>
internal sealed record FlagsmithFeatureState(bool Enabled, string? FeatureStateValue);

/// <summary>An option, with its value in the member of its type: <c>unicode</c>, <c>int</c> or <c>bool</c>.</summary>
internal sealed record FlagsmithOption(
    long Id,
    string Uuid,
    string Key,
    [property: Words("unicode", "int", "bool")] string Type,
    string? StringValue,
    long? IntegerValue,
    bool? BooleanValue,
    decimal DefaultPercentageAllocation
)
{
    public static FlagsmithOption Of(FeatureOption option, decimal allocation)
    {
        var (integer, boolean) = (FlagsmithValue.Integer(option.Value), FlagsmithValue.Boolean(option.Value));
        return new(
            option.Id,
            $"00000000-0000-0000-0000-{option.Id:x12}",
            option.Key,
            integer is not null ? "int"
                : boolean is not null ? "bool"
                : "unicode",
            integer is null && boolean is null ? FlagsmithValue.Text(option.Value) : null,
            integer,
            boolean,
            allocation
        );
    }
}
