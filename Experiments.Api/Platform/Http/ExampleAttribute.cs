using System.Text.Json.Nodes;

namespace Experiments.Api.Platform.Http;

/// <summary>An answer of this type as the documentation shows it.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class ExampleAttribute(string json) : Attribute
{
    public string Json { get; } = json;

    /// <summary>The example of <paramref name="type"/>, or of a list or a page with one of them.</summary>
    public static JsonNode? Of(Type type) =>
        type switch
        {
            { IsGenericType: true } when type.GetGenericTypeDefinition() == typeof(Listing<>) => new JsonObject
            {
                ["count"] = 1,
                ["next"] = null,
                ["previous"] = null,
                ["results"] = new JsonArray(Of(type.GenericTypeArguments[0])),
            },
            { IsGenericType: true } when type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) => new JsonArray(
                Of(type.GenericTypeArguments[0])
            ),
            _ => type.GetCustomAttributes(typeof(ExampleAttribute), false) is [ExampleAttribute example]
                ? JsonNode.Parse(example.Json)
                : null,
        };
}
