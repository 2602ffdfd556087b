using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace Experiments.Api.Platform.Wire;

/// <summary>
/// Reads the bytes of a body into <c>T</c>, or names everything in it that cannot be read, by its path. Whether the values
/// obey the rules of the use case is for its validator.
/// </summary>
internal static class JsonBody
{
    private static readonly JsonDocumentOptions Syntax = new() { MaxDepth = 64, CommentHandling = JsonCommentHandling.Disallow };

    public static Outcome<T> Read<T>(ReadOnlyMemory<byte> utf8)
        where T : class
    {
        if (!Utf8.IsValid(utf8.Span))
        {
            return Unreadable("The body is not valid UTF-8.");
        }

        try
        {
            using var document = JsonDocument.Parse(utf8, Syntax);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return Unreadable("The body must be a JSON object.");
            }

            var errors = new Errors();
            Inspect(document.RootElement, "", errors);
            if (errors.None && TryDeserialize<T>(document.RootElement) is { } value)
            {
                return value;
            }

            Explain(document.RootElement, WireJson.Options.GetTypeInfo(typeof(T)), errors);
            return Refusal.Fields(errors.ByPath());
        }
        catch (JsonException exception)
        {
            return Unreadable($"The body is not JSON: see line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}.");
        }
    }

    private static Refusal Unreadable(string detail) => new(Problem.Malformed, detail);

    private static T? TryDeserialize<T>(JsonElement element)
        where T : class
    {
        try
        {
            return element.Deserialize<T>(WireJson.Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // What no field may hold, whatever its type.
    private static void Inspect(JsonElement element, string path, Errors errors)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                var seen = new HashSet<string>(StringComparer.Ordinal);
                foreach (var member in element.EnumerateObject())
                {
                    if (Text(() => member.Name) is not { } name)
                    {
                        errors.Add(path, "has a member whose name is not valid Unicode");
                        continue;
                    }

                    var inner = path.Length == 0 ? name : $"{path}.{name}";
                    if (!seen.Add(name))
                    {
                        errors.Add(inner, "is given more than once");
                    }

                    CheckText(name, inner, errors);
                    Inspect(member.Value, inner, errors);
                }

                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var item in element.EnumerateArray())
                {
                    Inspect(item, $"{path}[{index++}]", errors);
                }

                break;
            case JsonValueKind.String:
                CheckText(Text(() => element.GetString()!), path, errors);
                break;
            case JsonValueKind.Number when !element.TryGetDouble(out var number) || !double.IsFinite(number):
                errors.Add(path, "is a number out of range");
                break;
        }
    }

    private static void CheckText(string? text, string path, Errors errors)
    {
        if (text is null)
        {
            errors.Add(path, "holds half of a surrogate pair, which is not a character");
        }
        else if (text.Contains('\0', StringComparison.Ordinal))
        {
            errors.Add(path, "holds a NUL character");
        }
    }

    private static string? Text(Func<string> read)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    // Member by member, so that all that is wrong is named at once and not only the first.
    private static void Explain(JsonElement element, JsonTypeInfo type, Errors errors, string path = "")
    {
        foreach (var member in element.EnumerateObject())
        {
            var inner = path + member.Name;
            var property = type.Properties.FirstOrDefault(known => known.Name == member.Name);
            if (property is null)
            {
                errors.Add(inner, "is not a field that can be given here");
            }
            else if (!errors.Has(inner))
            {
                ExplainValue(member.Value, property.PropertyType, errors, inner);
            }
        }
    }

    private static void ExplainValue(JsonElement value, Type type, Errors errors, string path)
    {
        var info = WireJson.Options.GetTypeInfo(type);
        if (value.ValueKind == JsonValueKind.Array && info.ElementType is { } item)
        {
            var index = 0;
            foreach (var element in value.EnumerateArray())
            {
                ExplainValue(element, item, errors, $"{path}[{index++}]");
            }
        }
        else if (value.ValueKind == JsonValueKind.Object && info.Kind == JsonTypeInfoKind.Object)
        {
            Explain(value, info, errors, path + ".");
        }
        else if (Expected(type) is var expected)
        {
            try
            {
                value.Deserialize(type, WireJson.Options);
            }
            catch (JsonException)
            {
                errors.Add(path, $"must be {expected}");
            }
        }
    }

    private static string Expected(Type type)
    {
        type = type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Optional<>) ? type.GenericTypeArguments[0] : type;
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type switch
        {
            _ when type == typeof(string) => "a string",
            _ when type == typeof(bool) => "true or false",
            _ when type == typeof(int) || type == typeof(long) => "a whole number that fits 64 bits",
            _ when type == typeof(decimal) || type == typeof(double) => "a number",
            _ when type == typeof(DateTimeOffset) => "an instant such as 2030-01-31T12:00:00Z",
            _ when WireJson.Options.GetTypeInfo(type).ElementType is not null => "a list",
            _ => "an object",
        };
    }

    private sealed class Errors
    {
        private readonly List<(string Path, string Message)> _found = [];

        public bool None => _found.Count == 0;

        public void Add(string path, string message) => _found.Add((path, message));

        public bool Has(string path) => _found.Exists(error => error.Path == path);

        public Dictionary<string, string[]> ByPath() => _found
            .GroupBy(error => error.Path)
            .ToDictionary(errors => errors.Key, errors => errors.Select(error => Sentence(error.Message)).Distinct().ToArray());

        private static string Sentence(string message) => new StringBuilder("This ").Append(message).Append('.').ToString();
    }
}
