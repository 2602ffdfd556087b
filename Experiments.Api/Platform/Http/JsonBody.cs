using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using System.Text.Unicode;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Reads the bytes of a body into <c>T</c>, or reports everything in it that cannot be read, by path. The validator of the use case
/// checks the values.
/// </summary>
internal static class JsonBody
{
    // A global limit on list sizes. The validator checks the limit of each field.
    private const int MostItems = 20_000;

    private static readonly JsonDocumentOptions Syntax = new() { MaxDepth = 64, CommentHandling = JsonCommentHandling.Disallow };

    /// <summary>Reads the body of a request.</summary>
    public static async Task<Result<T>> Read<T>(HttpRequest request, bool required)
        where T : class
    {
        var bytes = await RequestBody.Read(request, required, request.HttpContext.RequestAborted);
        return bytes.Failure is { } unread ? unread : Read<T>(bytes.Value);
    }

    public static Result<T> Read<T>(ReadOnlyMemory<byte> utf8)
        where T : class
    {
        if (!Utf8.IsValid(utf8.Span))
        {
            return UnreadableDefinition("The body is not valid UTF-8.");
        }

        try
        {
            using var document = JsonDocument.Parse(utf8, Syntax);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return UnreadableDefinition("The body must be a JSON object.");
            }

            var errors = new JsonErrors();
            Inspect(document.RootElement, errors);
            if (errors.None && TryDeserialize<T>(document.RootElement) is { } value)
            {
                return value;
            }

            if (ApiJson.Options.GetTypeInfo(typeof(T)) is { Kind: JsonTypeInfoKind.Object } type)
            {
                Explain(document.RootElement, type, errors);
            }

            return ProblemResult.Fields(errors.Found);
        }
        catch (JsonException exception)
        {
            return UnreadableDefinition(
                $"The body is not JSON: see line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}."
            );
        }
    }

    private static ProblemResult UnreadableDefinition(string detail) => new(Problem.Malformed, detail);

    private static T? TryDeserialize<T>(JsonElement element)
        where T : class
    {
        try
        {
            return element.Deserialize<T>(ApiJson.Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // What no field may hold, whatever its type. The path is put together only for what is wrong.
    private static void Inspect(JsonElement element, JsonErrors errors)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                var seen = new HashSet<string>(StringComparer.Ordinal);
                foreach (var member in element.EnumerateObject())
                {
                    if (Text(() => member.Name) is not { } name)
                    {
                        errors.AddHere("has a member whose name holds half of a surrogate pair");
                        continue;
                    }

                    errors.Enter(errors.IsAtRoot ? name : "." + name);
                    if (!seen.Add(name))
                    {
                        errors.AddHere("is given more than once");
                    }

                    CheckText(name, errors);
                    Inspect(member.Value, errors);
                    errors.Leave();
                }

                break;
            case JsonValueKind.Array when element.GetArrayLength() > MostItems:
                // Reported before the items are inspected, because inspecting them is expensive.
                errors.AddHere($"may have {MostItems} items at most");
                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var item in element.EnumerateArray())
                {
                    errors.Enter(index++);
                    Inspect(item, errors);
                    errors.Leave();
                }

                break;
            case JsonValueKind.String:
                CheckText(Text(() => element.GetString()!), errors);
                break;
            case JsonValueKind.Number when !JsonNumber.Fits(JsonMarshal.GetRawUtf8Value(element)):
                errors.AddHere("is a number out of range");
                break;
        }
    }

    private static void CheckText(string? text, JsonErrors errors)
    {
        if (text is null)
        {
            errors.AddHere("holds half of a surrogate pair, which is not a character");
        }
        else if (text.Contains('\0', StringComparison.Ordinal))
        {
            errors.AddHere("holds a NUL character");
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

    // Member by member, so that all errors are reported at once, not only the first.
    private static void Explain(JsonElement element, JsonTypeInfo type, JsonErrors errors, string path = "")
    {
        foreach (var member in element.EnumerateObject().TakeWhile(_ => !errors.Enough))
        {
            if (Text(() => member.Name) is not { } name)
            {
                continue;
            }

            var inner = path + name;
            var property = type.Properties.FirstOrDefault(known => known.Name == name);
            if (property is null)
            {
                if (type.UnmappedMemberHandling != JsonUnmappedMemberHandling.Skip)
                {
                    errors.Add(inner, "is not a field that can be given here");
                }
            }
            else if (!errors.Has(inner))
            {
                ExplainValue(member.Value, property.PropertyType, errors, inner);
            }
        }
    }

    private static void ExplainValue(JsonElement value, Type type, JsonErrors errors, string path)
    {
        type = type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Optional<>) ? type.GenericTypeArguments[0] : type;
        var info = ApiJson.Options.GetTypeInfo(type);
        if (value.ValueKind == JsonValueKind.Array && info is { Kind: JsonTypeInfoKind.Enumerable, ElementType: { } item })
        {
            var index = 0;
            foreach (var element in value.EnumerateArray().TakeWhile(_ => !errors.Enough))
            {
                ExplainValue(element, item, errors, $"{path}[{index++}]");
            }
        }
        else if (value.ValueKind == JsonValueKind.Object && Alternative(type) is { } alternative)
        {
            Explain(value, ApiJson.Options.GetTypeInfo(alternative.Type), errors, path + ".");
        }
        else if (value.ValueKind == JsonValueKind.Object && info.Kind == JsonTypeInfoKind.Object)
        {
            Explain(value, info, errors, path + ".");
        }
        else
        {
            try
            {
                value.Deserialize(type, ApiJson.Options);
            }
            catch (JsonException)
            {
                errors.Add(path, $"must be {Expected(type)}");
            }
        }
    }

    private static JsonUnionAttribute? Alternative(Type type) => type.GetCustomAttribute<JsonUnionAttribute>();

    private static string Expected(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type switch
        {
            _ when Alternative(type) is { } alternative => alternative.Expected,
            _ when type == typeof(string) => "a string",
            _ when type == typeof(bool) => "true or false",
            _ when type == typeof(int) || type == typeof(long) => "a whole number that fits 64 bits",
            _ when type == typeof(decimal) || type == typeof(double) => "a number",
            _ when type == typeof(DateTimeOffset) => "an instant such as 2030-01-31T12:00:00Z",
            _ when ApiJson.Options.GetTypeInfo(type).Kind == JsonTypeInfoKind.Enumerable => "a list",
            _ => "an object",
        };
    }
}
