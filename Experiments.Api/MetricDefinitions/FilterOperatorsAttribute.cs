using Experiments.Api.Platform.Http;

namespace Experiments.Api.MetricDefinitions;

/// <summary>A text that is always one of the operators that <see cref="MetricFilter"/> knows.</summary>
internal sealed class FilterOperatorsAttribute()
    : WordsAttribute(
        "exists",
        "not_exists",
        "equals",
        "not_equals",
        "in",
        "not_in",
        "contains",
        "not_contains",
        "matches",
        "not_matches",
        "greater",
        "at_least",
        "less",
        "at_most"
    );
