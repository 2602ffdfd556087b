using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Experiments;

/// <summary>A variant as it is written.</summary>
/// <param name="Key">Letters, digits, hyphens and underscores; one of them is control.</param>
/// <param name="Weight">Its share in percent.</param>
/// <param name="Transforms">Of a web experiment, what it changes on a page. Where this is not given, it stays as it is.</param>
internal sealed record VariantBody(
    [property: Must(Required = true, MaxLength = 255)] string? Key = null,
    [property: Must(Minimum = 0, Maximum = 100)] decimal? Weight = null,
    IReadOnlyList<Transform?>? Transforms = null
)
{
    /// <summary>
    /// What it serves. Where it is not given, a variant keeps the value that it has, and a new one serves its key; only control may serve
    /// nothing.
    /// </summary>
    public Optional<JsonElement> Value { get; init; }

    /// <summary>Fewer than eleven, control among them.</summary>
    public const int Most = 10;

    private const int MostTransforms = 100;
    private const int LongestPart = 50_000;

    public const string OnlyOfTheWeb = "Only the variants of a web experiment have these.";

    /// <summary>Control and test, evenly.</summary>
    public static readonly IReadOnlyList<VariantBody> Default = [new(Slug.Control, Weight: 50), new("test", Weight: 50)];

    /// <summary>The variants with control, which may be left out, or left without a weight, and then takes the rest.</summary>
    public static IReadOnlyList<VariantBody?>? WithControl(IReadOnlyList<VariantBody?>? variants) =>
        Split.WithControl(
            variants,
            variant => (variant.Key, variant.Weight),
            (control, rest) => control is null ? new(Slug.Control, rest) : control with { Weight = rest }
        );

    /// <summary>Reports what is wrong with the variants of an experiment.</summary>
    public static void Check(string field, IReadOnlyList<VariantBody?>? variants, bool isWeb, bool setsValues, Action<string, string> wrong)
    {
        if (variants is null)
        {
            return;
        }

        // A feature of its own may have had ten options before.
        var most = setsValues ? Most : Split.MaxVariants;
        if (variants.Count > most || (setsValues && variants.Count < 2))
        {
            wrong(field, $"There must be 2 to {most} of these, control among them.");
            return;
        }

        Split.Check(field, variants.Select(variant => (variant?.Key, variant?.Weight)), wrong);
        foreach (var (index, variant) in variants.Index())
        {
            var path = $"{field}[{index}]";
            if (setsValues && Slug.IsControl(variant?.Key) && variant!.Key != Slug.Control)
            {
                wrong($"{path}.key", "'control' is written in small letters.");
            }

            if (variant?.Value is { IsPresent: true, Value: var value })
            {
                if (!setsValues)
                {
                    wrong($"{path}.value", "An existing feature has its own values. Change them there.");
                }
                else if (value.ValueKind == JsonValueKind.Null && variant.Key != Slug.Control)
                {
                    wrong($"{path}.value", "This may not be null; only control may serve nothing.");
                }
                else if (!FeatureRules.IsShort(value))
                {
                    wrong($"{path}.value", $"This may have {FeatureRules.MaxValueLength} characters at most.");
                }
            }

            CheckTransforms($"{path}.transforms", variant?.Transforms, isWeb, wrong);
        }
    }

    /// <summary>Weights by key, as the database takes them.</summary>
    public static string? Weights(IReadOnlyList<VariantBody?>? variants) =>
        variants is null
            ? null
            : JsonSerializer.Serialize(variants.ToDictionary(variant => variant!.Key!, variant => variant!.Weight!.Value));

    /// <summary>Transforms by key, of those variants that say which; an empty list says that there are none.</summary>
    public static string? Changes(IReadOnlyList<VariantBody?>? variants) =>
        variants is null
            ? null
            : JsonSerializer.Serialize(
                variants
                    .Where(variant => variant!.Transforms is not null)
                    .ToDictionary(variant => variant!.Key!, variant => variant!.Transforms),
                ApiJson.Options
            );

    /// <summary>Whether control's value is among what is given; null stands for none.</summary>
    public static (bool IsGiven, string? Value) ControlValue(IReadOnlyList<VariantBody?>? variants) =>
        variants?.FirstOrDefault(variant => variant!.Key == Slug.Control)?.Value is { IsPresent: true, Value: var value }
            ? (true, FeatureRules.Stored(value))
            : (false, null);

    /// <summary>What is to become the options of the feature: those besides control, with their values where they are given.</summary>
    public static string? Options(IReadOnlyList<VariantBody?>? variants) =>
        variants is null
            ? null
            : JsonSerializer.Serialize(
                variants
                    .Where(variant => variant!.Key != Slug.Control)
                    .Select(variant =>
                        variant!.Value is { IsPresent: true, Value: var value }
                            ? (object)new { key = variant.Key, value }
                            : new { key = variant.Key }
                    )
            );

    private static void CheckTransforms(string field, IReadOnlyList<Transform?>? transforms, bool isWeb, Action<string, string> wrong)
    {
        if (transforms is null)
        {
            return;
        }

        if (!isWeb || transforms.Count > MostTransforms)
        {
            wrong(field, isWeb ? $"There may be {MostTransforms} of these at most." : OnlyOfTheWeb);
            return;
        }

        foreach (var (index, transform) in transforms.Index())
        {
            if (string.IsNullOrWhiteSpace(transform?.Selector) || !Rules.Fits(transform.Selector, 1000))
            {
                wrong($"{field}[{index}].selector", "This is required: a CSS selector of 1000 characters at most.");
            }

            if (transform is { Text: null, Html: null, Css: null })
            {
                wrong($"{field}[{index}]", "One of 'text', 'html' and 'css' is required.");
            }

            foreach (var (name, part) in new[] { ("text", transform?.Text), ("html", transform?.Html), ("css", transform?.Css) })
            {
                if (!Rules.Fits(part, LongestPart))
                {
                    wrong($"{field}[{index}].{name}", $"This may have {LongestPart} characters at most.");
                }
            }
        }
    }
}
