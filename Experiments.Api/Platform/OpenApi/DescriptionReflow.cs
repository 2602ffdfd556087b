using System.Text.RegularExpressions;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>Descriptions come from doc comments, which are wrapped; in the document each is one line.</summary>
internal sealed partial class DescriptionReflow : OpenApiVisitorBase
{
    public override void Visit(IOpenApiSchema schema)
    {
        if (schema.Description is { } description)
        {
            schema.Description = Whitespace().Replace(description, " ");
        }
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();
}
