using System.Collections;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>
/// Derives schemas from types as the serialiser sees them: what may be null from their annotations, what must be given from the rules of
/// their slice, descriptions from doc comments. Each type of ours is a component.
/// </summary>
/// <param name="rules">The rules for bodies.</param>
/// <param name="comments">The doc comments.</param>
internal sealed class SchemaBuilder(BodyRules rules, DocComments comments)
{
    private static readonly JsonSerializerOptions Serialisation = new(ApiJson.Options)
    {
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    private readonly NullabilityInfoContext _nullability = new();
    private readonly Dictionary<string, Type> _names = [];

    // Bodies are closed, and nothing in them is required but what a rule says. What stands in a body and in an answer is as in the body.
    private readonly HashSet<Type> _written = [];

    /// <summary>Takes a type for one that callers write, with all that it holds.</summary>
    public void AddWritten(Type type)
    {
        foreach (var held in Held(type).Where(held => IsObject(held) && _written.Add(held)))
        {
            if (held.GetCustomAttribute<JsonUnionAttribute>() is { } union)
            {
                AddWritten(union.Type);
                continue;
            }

            foreach (var property in Properties(held))
            {
                AddWritten(property.PropertyType);
            }
        }
    }

    /// <summary>The schema of a type, with a component of the document for each type of ours.</summary>
    public IOpenApiSchema Of(Type type, OpenApiDocument document, NullabilityInfo? nullability = null)
    {
        if (Nullable.GetUnderlyingType(type) is { } underlying)
        {
            return OrNull(Of(underlying, document));
        }

        if (
            type.IsGenericType
            && (type.GetGenericTypeDefinition() == typeof(Json<>) || type.GetGenericTypeDefinition() == typeof(Optional<>))
        )
        {
            var held = nullability?.GenericTypeArguments is [var argument] ? argument : null;
            return Of(type.GenericTypeArguments[0], document, held);
        }

        var schema = NotNull(type, document, nullability);
        return nullability?.ReadState == NullabilityState.Nullable ? OrNull(schema) : schema;
    }

    private IOpenApiSchema NotNull(Type type, OpenApiDocument document, NullabilityInfo? nullability) =>
        type switch
        {
            _ when type == typeof(string) => new OpenApiSchema { Type = JsonSchemaType.String },
            _ when type == typeof(bool) => new OpenApiSchema { Type = JsonSchemaType.Boolean },
            _ when type == typeof(int) => new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32" },
            _ when type == typeof(long) => new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int64" },
            _ when type == typeof(double) || type == typeof(decimal) => new OpenApiSchema { Type = JsonSchemaType.Number },
            _ when type == typeof(DateTime) || type == typeof(DateTimeOffset) => new OpenApiSchema
            {
                Type = JsonSchemaType.String,
                Format = "date-time",
            },
            // Any JSON.
            _ when type == typeof(JsonElement) || type == typeof(JsonNode) || type == typeof(object) => new OpenApiSchema(),
            _ when type == typeof(JsonObject) || type == typeof(JsonDocumentBody) => new OpenApiSchema { Type = JsonSchemaType.Object },
            _ when Values(type) is { } values => new OpenApiSchema
            {
                Type = JsonSchemaType.Object,
                AdditionalProperties = Of(values, document, Argument(nullability, ^1)),
            },
            _ when Items(type) is { } items => new OpenApiSchema
            {
                Type = JsonSchemaType.Array,
                Items = Item(items, document, nullability),
            },
            _ => Component(type, document),
        };

    // That an item may be null is only so that a null is refused by name.
    private IOpenApiSchema Item(Type items, OpenApiDocument document, NullabilityInfo? list) =>
        _written.Contains(items) || (items == typeof(string) && list?.GenericTypeArguments is [{ ReadState: NullabilityState.Nullable }])
            ? NotNull(items, document, null)
            : Of(items, document, list?.ElementType ?? Argument(list, 0));

    private static NullabilityInfo? Argument(NullabilityInfo? nullability, Index index) =>
        nullability?.GenericTypeArguments is { Length: > 0 } arguments ? arguments[index] : null;

    private OpenApiSchemaReference Component(Type type, OpenApiDocument document)
    {
        var name = NameOf(type);
        if (_names.TryAdd(name, type))
        {
            document.AddComponent(name, type.IsEnum ? Words(type) : Object(type, document));
        }
        else if (_names[name] != type)
        {
            throw new InvalidOperationException($"{type} and {_names[name]} would both be the schema {name}.");
        }

        return new OpenApiSchemaReference(name, document);
    }

    private OpenApiSchema Words(Type type) =>
        new()
        {
            Type = JsonSchemaType.String,
            Description = comments.Of(type),
            Enum = [.. Enum.GetNames(type).Select(name => (JsonNode)JsonNamingPolicy.SnakeCaseLower.ConvertName(name))],
        };

    private OpenApiSchema Object(Type type, OpenApiDocument document)
    {
        var schema = new OpenApiSchema { Description = comments.Of(type) ?? BySlice(type) };
        if (type.GetCustomAttribute<JsonUnionAttribute>() is { } union)
        {
            schema.OneOf = [NotNull(typeof(long), document, null), Of(union.Type, document)];
            return schema;
        }

        var isWritten = _written.Contains(type);
        schema.Type = JsonSchemaType.Object;
        schema.Properties = new Dictionary<string, IOpenApiSchema>();
        schema.Required = new HashSet<string>();
        schema.AdditionalPropertiesAllowed =
            !isWritten
            || type.GetCustomAttribute<JsonUnmappedMemberHandlingAttribute>()
                is { UnmappedMemberHandling: JsonUnmappedMemberHandling.Skip };
        foreach (var property in Properties(type))
        {
            if (
                property.AttributeProvider is not PropertyInfo member
                || member.GetCustomAttribute<JsonIgnoreAttribute>() is { Condition: JsonIgnoreCondition.Always }
            )
            {
                continue;
            }

            var isOmitted = member.GetCustomAttribute<JsonIgnoreAttribute>() is { Condition: JsonIgnoreCondition.WhenWritingNull };
            var shown = Of(property.PropertyType, document, _nullability.Create(member));
            var constraints = rules.Of(type, property.Name);
            // Whoever writes leaves out what is not given. Null has a meaning in a PATCH only, and lenient routes take it.
            var takesNull = IsLenient(type) || (IsOptional(property.PropertyType) && constraints?.IsNotNull != true);
            if (isOmitted || (isWritten && !takesNull))
            {
                shown = WithoutNull(shown);
            }

            if (isWritten ? constraints?.IsRequired == true : !isOmitted)
            {
                schema.Required.Add(property.Name);
            }

            shown = Words(member) is { } words ? WithWords(shown, words) : shown;
            constraints?.Apply(shown);
            schema.Properties[property.Name] = Described(shown, comments.Of(member) ?? Glossary.Of(property.Name));
        }

        if (ExampleAttribute.Of(type) is { } example)
        {
            schema.Examples = [example];
        }

        return schema;
    }

    private static bool IsOptional(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Optional<>);

    private static bool IsLenient(Type type) =>
        type.GetCustomAttribute<JsonUnmappedMemberHandlingAttribute>() is { UnmappedMemberHandling: JsonUnmappedMemberHandling.Skip };

    private static string[]? Words(PropertyInfo member) => member.GetCustomAttribute<WordsAttribute>()?.Words;

    private static IOpenApiSchema WithWords(IOpenApiSchema schema, string[] words)
    {
        var text = schema is OpenApiSchema { Items: OpenApiSchema items } ? items : (OpenApiSchema)schema;
        text.Enum = [.. words.Select(word => (JsonNode)word)];
        if (text.Type?.HasFlag(JsonSchemaType.Null) == true)
        {
            text.Enum.Add(JsonNullSentinel.JsonNull);
        }

        return schema;
    }

    private static string? BySlice(Type type) =>
        type.DeclaringType is { } slice && type.Name is "Body" or "Response"
            ? $"What `{JsonNamingPolicy.CamelCase.ConvertName(type.DeclaringType!.Name)}` {(type.Name == "Body" ? "takes" : "answers")}."
            : null;

    private static IOpenApiSchema Described(IOpenApiSchema schema, string? description)
    {
        schema.Description = description;
        return schema;
    }

    private static IOpenApiSchema OrNull(IOpenApiSchema schema)
    {
        if (schema is OpenApiSchema { Type: { } type, OneOf: null } inline)
        {
            inline.Type = type | JsonSchemaType.Null;
            return inline;
        }

        return schema is OpenApiSchema { OneOf: null, Type: null }
            ? schema
            : new OpenApiSchema { OneOf = [new OpenApiSchema { Type = JsonSchemaType.Null }, schema] };
    }

    private static IOpenApiSchema WithoutNull(IOpenApiSchema schema)
    {
        if (schema is OpenApiSchema { OneOf: [OpenApiSchema { Type: JsonSchemaType.Null }, var held] })
        {
            return held;
        }

        if (schema is OpenApiSchema { Type: { } type } inline)
        {
            inline.Type = type & ~JsonSchemaType.Null;
        }

        return schema;
    }

    private static string NameOf(Type type)
    {
        if (type.IsGenericType)
        {
            var definition = type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)];
            return (definition == "Listing" ? "PageOf" : definition) + string.Concat(type.GenericTypeArguments.Select(NameOf));
        }

        // What many slices have is called by its slice.
        return type is { IsNested: true, Name: "Body" or "Response" } ? type.DeclaringType!.Name + type.Name : type.Name;
    }

    private static IEnumerable<JsonPropertyInfo> Properties(Type type) => Serialisation.GetTypeInfo(type).Properties;

    private static bool IsObject(Type type) =>
        type.Namespace?.StartsWith(nameof(Experiments), StringComparison.Ordinal) == true && !type.IsEnum;

    private static IEnumerable<Type> Held(Type type) =>
        Nullable.GetUnderlyingType(type) is { } underlying ? Held(underlying)
        : type.IsGenericType && (type.GetGenericTypeDefinition() == typeof(Json<>) || type.GetGenericTypeDefinition() == typeof(Optional<>))
            ? Held(type.GenericTypeArguments[0])
        : (Values(type) ?? Items(type)) is { } inner ? Held(inner)
        : [type];

    private static Type? Values(Type type) =>
        type.IsGenericType
        && type.GetGenericTypeDefinition() is var definition
        && (definition == typeof(IReadOnlyDictionary<,>) || definition == typeof(Dictionary<,>))
            ? type.GenericTypeArguments[1]
            : null;

    private static Type? Items(Type type) =>
        type.IsArray ? type.GetElementType()
        : type != typeof(string) && type.IsGenericType && type.IsAssignableTo(typeof(IEnumerable)) ? type.GenericTypeArguments[0]
        : null;
}
