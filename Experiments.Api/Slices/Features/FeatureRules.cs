using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Http;
using FluentValidation;

namespace Experiments.Api.Slices.Features;

/// <summary>An option as it is written.</summary>
internal sealed record OptionBody(
    [property: Must(Required = true, MaxLength = 255)] string? Key = null,
    [property: Must(Required = true)] JsonElement? Value = null,
    [property: Must(Minimum = 0, Maximum = 100)] decimal? DefaultPercentageAllocation = null
);

/// <summary>What holds for the values of a feature, however they are written.</summary>
internal static class FeatureRules
{
    public const int MaxOptions = 10;
    public const int MaxValueLength = 20_000;

    public static IRuleBuilderOptionsConditions<T, IReadOnlyList<OptionBody?>?> Options<T>(
        this IRuleBuilder<T, IReadOnlyList<OptionBody?>?> rule
    ) =>
        rule.Custom(
            (options, context) =>
            {
                if (options is { Count: > MaxOptions })
                {
                    context.AddFailure("multivariate_options", $"There may be {MaxOptions} of these at most.");
                    return;
                }

                var sum = 0m;
                var keys = new HashSet<string>(StringComparer.Ordinal);
                foreach (var (index, option) in (options ?? []).Index())
                {
                    var path = $"multivariate_options[{index}]";
                    if (!Slug.IsValid(option?.Key))
                    {
                        context.AddFailure($"{path}.key", "This is required: 1 to 255 letters, digits, hyphens and underscores.");
                    }
                    else if (Slug.IsControl(option!.Key))
                    {
                        context.AddFailure($"{path}.key", "'control' is reserved for the feature's own value.");
                    }
                    else if (!keys.Add(option.Key!))
                    {
                        context.AddFailure($"{path}.key", "Another option has this key.");
                    }

                    if (option?.Value is not { ValueKind: not JsonValueKind.Null } value)
                    {
                        context.AddFailure($"{path}.value", "This is required and may not be null.");
                    }
                    else if (!IsShort(value))
                    {
                        context.AddFailure($"{path}.value", $"This may have {MaxValueLength} characters at most.");
                    }

                    if (option?.DefaultPercentageAllocation is < 0 or > 100)
                    {
                        context.AddFailure($"{path}.default_percentage_allocation", "This must be from 0 to 100.");
                    }

                    sum += option?.DefaultPercentageAllocation is { } share and >= 0 and <= 100 ? share : 0;
                }

                if (sum > 100)
                {
                    context.AddFailure("multivariate_options", "The percentages may sum to 100 at most.");
                }
            }
        );

    public static IRuleBuilderOptions<T, JsonElement?> FeatureValue<T>(this IRuleBuilder<T, JsonElement?> rule) =>
        rule.Must(value => value is null || IsShort(value.Value)).WithMessage($"This may have {MaxValueLength} characters at most.");

    /// <summary>The value as the column takes it: JSON, and SQL NULL for null.</summary>
    public static string? Stored(JsonElement? value) => value is { ValueKind: not JsonValueKind.Null } given ? given.GetRawText() : null;

    /// <summary>The options as <c>options_of</c> in the database takes them; null stays null.</summary>
    public static string? Stored(IReadOnlyList<OptionBody?>? options) =>
        options is null
            ? null
            : JsonSerializer.Serialize(
                options.Select(option => new
                {
                    key = option!.Key,
                    value = option.Value,
                    default_percentage_allocation = option.DefaultPercentageAllocation ?? 0,
                })
            );

    public static bool IsShort(JsonElement value) => value.GetRawText().Length <= MaxValueLength;
}
