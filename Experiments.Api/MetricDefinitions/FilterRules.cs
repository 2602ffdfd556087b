namespace Experiments.Api.MetricDefinitions;

/// <summary>What holds for conditions on an event.</summary>
internal static class FilterRules
{
    public const int Most = 20;

    /// <summary>Reports what is wrong with conditions on an event.</summary>
    public static void Check(string prefix, IReadOnlyList<MetricFilter?> filters, Action<string, string> wrong)
    {
        foreach (var (index, filter) in filters.Index())
        {
            if (filter?.Property is null || !IsProperty(filter.Property))
            {
                wrong($"{prefix}filters[{index}].property", "This is required: 'value', or 'metadata.' and the name of a member.");
            }

            if (filter is null || filter.Error is not null)
            {
                wrong($"{prefix}filters[{index}].operator", filter?.Error ?? "This may not be null.");
            }
        }
    }

    /// <summary>Whether this names a property of an event.</summary>
    public static bool IsProperty(string? property) =>
        property == "value" || (property?.StartsWith("metadata.", StringComparison.Ordinal) == true && property.Length is > 9 and <= 200);
}
