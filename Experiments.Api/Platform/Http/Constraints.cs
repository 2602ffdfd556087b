using System.Globalization;
using System.Reflection;
using System.Text.Json;
using FluentValidation.Validators;

namespace Experiments.Api.Platform.Http;

/// <summary>A rule that says what it demands in terms of a schema.</summary>
internal interface ISchemaRule
{
    void Describe(Constraints constraints);
}

/// <summary>What is demanded of a value.</summary>
internal sealed class Constraints
{
    public bool IsRequired { get; set; }

    /// <summary>Whether null is refused; null if no rule says.</summary>
    public bool? IsNotNull { get; set; }

    public int? MinLength { get; set; }

    public int? MaxLength { get; set; }

    public string? Minimum { get; set; }

    public string? Maximum { get; set; }

    public string? ExclusiveMinimum { get; set; }

    public string? ExclusiveMaximum { get; set; }

    public int? MinItems { get; set; }

    public int? MaxItems { get; set; }

    /// <summary>What it is when it is not given.</summary>
    public object? Default { get; set; }

    public string[]? Words { get; set; }

    public bool IsId { get; set; }

    /// <summary>What is demanded of each item of a list.</summary>
    public Constraints? Items { get; private set; }

    public Constraints OfItems() => Items ??= new();

    /// <summary>Those that a type declares itself, for types that are checked as a whole; null without any.</summary>
    public static Constraints? Declared(Type type, string member)
    {
        var declared = type.GetProperties()
            .FirstOrDefault(property => JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name) == member)
            ?.GetCustomAttribute<MustAttribute>();
        return declared is null
            ? null
            : new()
            {
                IsRequired = declared.Required,
                MaxLength = declared.MaxLength is 0 ? null : declared.MaxLength,
                Minimum = Bound(declared.Minimum),
                Maximum = Bound(declared.Maximum),
                ExclusiveMinimum = Bound(declared.Above),
                ExclusiveMaximum = Bound(declared.Below),
                MinItems = declared.MinItems is 0 ? null : declared.MinItems,
                MaxItems = declared.MaxItems is 0 ? null : declared.MaxItems,
                Default = declared.Default,
            };

        static string? Bound(double bound) => double.IsNaN(bound) ? null : bound.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Takes over what only the declaration says.</summary>
    public Constraints With(Constraints declared)
    {
        IsRequired |= declared.IsRequired;
        MaxLength ??= declared.MaxLength;
        Minimum ??= declared.Minimum;
        Maximum ??= declared.Maximum;
        ExclusiveMinimum ??= declared.ExclusiveMinimum;
        ExclusiveMaximum ??= declared.ExclusiveMaximum;
        MinItems ??= declared.MinItems;
        MaxItems ??= declared.MaxItems;
        Default ??= declared.Default;
        return this;
    }

    public void Add(IPropertyValidator validator, bool isConditional)
    {
        switch (validator)
        {
            case ISchemaRule rule:
                var before = IsRequired;
                rule.Describe(this);
                IsRequired = before || (IsRequired && !isConditional);
                break;
            case INotNullValidator:
                IsRequired |= !isConditional;
                break;
            case IBetweenValidator between when between.Name.StartsWith("Inclusive", StringComparison.Ordinal):
                (Minimum, Maximum) = (Text(between.From), Text(between.To));
                break;
            case IBetweenValidator between:
                (ExclusiveMinimum, ExclusiveMaximum) = (Text(between.From), Text(between.To));
                break;
            case IComparisonValidator { Comparison: Comparison.GreaterThan, ValueToCompare: { } above }:
                ExclusiveMinimum = Text(above);
                break;
            case IComparisonValidator { Comparison: Comparison.GreaterThanOrEqual, ValueToCompare: { } least }:
                Minimum = Text(least);
                break;
            case IComparisonValidator { Comparison: Comparison.LessThanOrEqual, ValueToCompare: { } most }:
                Maximum = Text(most);
                break;
        }
    }

    private static string? Text(object? value) => Convert.ToString(value, CultureInfo.InvariantCulture);
}
