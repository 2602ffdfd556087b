using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Features;

/// <summary>
/// A Flagsmith environment document, as much of it as makes features. Overrides for identities and segments are only named: this service
/// has none.
/// </summary>
internal static class FlagsmithDocument
{
    private const int MostFeatures = 2000;

    private static readonly string TooMuch =
        $"There may be {FeatureRules.MaxOptions} options at most, whose percentages sum to 100 at most.";

    /// <summary>The overrides of a document, each with the feature whose value it would change.</summary>
    public static IReadOnlyList<SkippedOverride> Overrides(JsonElement document) =>
        [
            .. Items(document, "identity_overrides")
                .SelectMany(identity =>
                    Items(identity, "identity_features").Select(state => Skipped(state, "identity", Member(identity, "identifier")))
                ),
            .. Items(Member(document, "project"), "segments")
                .SelectMany(segment =>
                    Items(segment, "feature_states").Select(state => Skipped(state, "segment", Member(segment, "name")))
                ),
        ];

    /// <summary>The features of a document, or what is wrong with it, by path.</summary>
    public static (IReadOnlyList<ImportedFeature> Features, IReadOnlyList<(string Path, string Message)> Wrong) Read(JsonElement document)
    {
        var (features, wrong) = (new List<ImportedFeature>(), new List<(string Path, string Message)>());
        if (
            document.ValueKind != JsonValueKind.Object
            || !document.TryGetProperty("feature_states", out var states)
            || states.ValueKind != JsonValueKind.Array
            || states.GetArrayLength() > MostFeatures
        )
        {
            return ([], [("feature_states", $"This is required: the list of the environment's feature states, {MostFeatures} at most.")]);
        }

        var names = new HashSet<string>();
        foreach (var (index, state) in states.EnumerateArray().Index())
        {
            var path = $"feature_states[{index}]";
            if (Feature(state, path, wrong) is not { } feature)
            {
                continue;
            }

            // As the database compares them.
            if (!names.Add(feature.Name.ToLowerInvariant().Replace(' ', '_')))
            {
                wrong.Add(($"{path}.feature.name", "Another feature has this name."));
            }

            features.Add(feature);
        }

        return (features, wrong);
    }

    private static ImportedFeature? Feature(JsonElement state, string path, List<(string, string)> wrong)
    {
        var before = wrong.Count;
        var name = Text(Member(Member(state, "feature"), "name"))?.Trim();
        if (string.IsNullOrEmpty(name) || !Rules.Fits(name, 255))
        {
            wrong.Add(($"{path}.feature.name", "This is required: 255 characters at most."));
        }

        var value = Member(state, "feature_state_value");
        Check(value, $"{path}.feature_state_value", wrong);
        var enabled = Member(state, "enabled").ValueKind;
        if (enabled is not (JsonValueKind.True or JsonValueKind.False or JsonValueKind.Undefined))
        {
            wrong.Add(($"{path}.enabled", "This must be true or false."));
        }

        var options = new List<ImportedOption>();
        var values = Member(state, "multivariate_feature_state_values");
        if (values.ValueKind is not (JsonValueKind.Array or JsonValueKind.Undefined or JsonValueKind.Null))
        {
            wrong.Add(($"{path}.multivariate_feature_state_values", "This must be a list."));
        }
        else if (values.ValueKind == JsonValueKind.Array && values.GetArrayLength() > FeatureRules.MaxOptions)
        {
            wrong.Add(($"{path}.multivariate_feature_state_values", TooMuch));
        }
        else if (values.ValueKind == JsonValueKind.Array)
        {
            foreach (var (index, option) in values.EnumerateArray().Index())
            {
                Option(option, $"{path}.multivariate_feature_state_values[{index}]", options, wrong);
            }

            if (options.Sum(option => option.DefaultPercentageAllocation) > 100)
            {
                wrong.Add(($"{path}.multivariate_feature_state_values", TooMuch));
            }
        }

        return wrong.Count > before
            ? null
            : new(name!, enabled == JsonValueKind.True, value.ValueKind is JsonValueKind.Undefined ? null : value, options);
    }

    // Documents of old know their options by number only; the number makes the key, so that it stays the same from one import to the next.
    private static void Option(JsonElement given, string path, List<ImportedOption> options, List<(string, string)> wrong)
    {
        var option = Member(given, "multivariate_feature_option");
        var id = Member(option, "id") is { ValueKind: JsonValueKind.Number } number ? number.GetRawText() : $"{options.Count + 1}";
        var named = Member(option, "key");
        var key =
            named.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null
            || (named.ValueKind == JsonValueKind.String && named.ValueEquals(""))
                ? $"option_{id}"
                : Text(named);
        var value = Member(option, "value");
        var percentage = Member(given, "percentage_allocation");
        var share =
            percentage.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null ? 0
            : percentage.ValueKind == JsonValueKind.Number && percentage.TryGetDecimal(out var parsed) ? parsed
            : -1;
        if (!Slug.IsValid(key) || Slug.IsControl(key) || options.Any(other => other.Key == key))
        {
            wrong.Add(
                (
                    $"{path}.multivariate_feature_option.key",
                    "This must be 1 to 255 letters, digits, hyphens and underscores, not 'control', and given once."
                )
            );
        }

        if (value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
        {
            wrong.Add(($"{path}.multivariate_feature_option.value", "This is required and may not be null."));
        }

        Check(value, $"{path}.multivariate_feature_option.value", wrong);
        if (share is < 0 or > 100)
        {
            wrong.Add(($"{path}.percentage_allocation", "This must be from 0 to 100."));
        }

        options.Add(new(key ?? "", value, Math.Clamp(share, 0, 100)));
    }

    private static void Check(JsonElement value, string path, List<(string, string)> wrong)
    {
        if (value.ValueKind != JsonValueKind.Undefined && !FeatureRules.IsShort(value))
        {
            wrong.Add((path, $"This may have {FeatureRules.MaxValueLength} characters at most."));
        }
    }

    private static SkippedOverride Skipped(JsonElement state, string kind, JsonElement whose) =>
        new(Text(Member(Member(state, "feature"), "name")) ?? "", kind, Text(whose) ?? "");

    private static List<JsonElement> Items(JsonElement of, string name) =>
        Member(of, name) is { ValueKind: JsonValueKind.Array } list ? [.. list.EnumerateArray()] : [];

    private static JsonElement Member(JsonElement of, string name) =>
        of.ValueKind == JsonValueKind.Object && of.TryGetProperty(name, out var member) ? member : default;

    private static string? Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}

/// <summary>A feature of a document.</summary>
internal sealed record ImportedFeature(
    string Name,
    bool Enabled,
    JsonElement? InitialValue,
    IReadOnlyList<ImportedOption> MultivariateOptions
);

/// <summary>An option of it.</summary>
internal sealed record ImportedOption(string Key, JsonElement Value, decimal DefaultPercentageAllocation);

/// <summary>An override that was not imported.</summary>
/// <param name="Feature">The name of the feature.</param>
/// <param name="Kind">Whether it is for an identity or for a segment.</param>
/// <param name="Name">The identifier of the identity, or the name of the segment.</param>
internal sealed record SkippedOverride(string Feature, [property: Words("identity", "segment")] string Kind, string Name);
