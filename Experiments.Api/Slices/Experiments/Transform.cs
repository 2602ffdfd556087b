using System.Text.Json.Serialization;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Experiments;

/// <summary>One change that a variant of a web experiment makes to a page.</summary>
/// <param name="Selector">Which elements, as CSS selects them.</param>
/// <param name="Text">Their new text.</param>
/// <param name="Html">Their new content.</param>
/// <param name="Css">Their new style.</param>
internal sealed record Transform(
    [property: Must(Required = true, MaxLength = 1000)] string? Selector = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Text = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Html = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Css = null
);
