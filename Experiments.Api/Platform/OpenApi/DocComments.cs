using System.Collections.Frozen;
using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>The doc comments of the service, which the compiler writes beside it, as text for the document.</summary>
internal sealed partial class DocComments
{
    private readonly FrozenDictionary<string, XElement> _members = Read();

    /// <summary>The summary of a type; null without one.</summary>
    public string? Of(Type type) => Text(_members.GetValueOrDefault($"T:{Id(type)}")?.Element("summary"));

    /// <summary>The summary of a property, or what its type says of it as a parameter; null without either.</summary>
    public string? Of(PropertyInfo property)
    {
        var declaring = property.DeclaringType!;
        return Text(_members.GetValueOrDefault($"P:{Id(declaring)}.{property.Name}")?.Element("summary"))
            ?? Text(
                _members
                    .GetValueOrDefault($"T:{Id(declaring)}")
                    ?.Elements("param")
                    .FirstOrDefault(parameter => parameter.Attribute("name")?.Value == property.Name)
            );
    }

    private static FrozenDictionary<string, XElement> Read()
    {
        var file = Path.ChangeExtension(typeof(DocComments).Assembly.Location, ".xml");
        return File.Exists(file)
            ? XDocument
                .Load(file)
                .Descendants("member")
                .Where(member => member.Attribute("name") is not null)
                .DistinctBy(member => member.Attribute("name")!.Value)
                .ToFrozenDictionary(member => member.Attribute("name")!.Value)
            : FrozenDictionary<string, XElement>.Empty;
    }

    private static string Id(Type type) => (type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName!.Replace('+', '.');

    // Code stays code, and a reference becomes the name of what it refers to.
    private static string? Text(XElement? element)
    {
        if (element is null)
        {
            return null;
        }

        var parts = element
            .DescendantNodes()
            .Select(node =>
                node switch
                {
                    XText text when text.Parent!.Name == "c" => $"`{text.Value}`",
                    XText text => text.Value,
                    XElement { Name.LocalName: "see" or "paramref" } reference => (
                        reference.Attribute("cref")?.Value.Split('.')[^1] ?? reference.Attribute("name")?.Value
                    ),
                    _ => null,
                }
            );
        var text = Whitespace().Replace(string.Concat(parts), " ").Trim();
        return text.Length == 0 ? null : text;
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();
}
