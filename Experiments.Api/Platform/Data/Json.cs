using System.Data;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dapper;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// JSON of the shape <typeparamref name="T"/>, exactly as the database returned it. It is copied into the response without being parsed.
/// <typeparamref name="T"/> is the type shown in the OpenAPI document.
/// </summary>
[JsonConverter(typeof(JsonConverters))]
internal readonly record struct Json<T>(string Text)
{
    /// <summary>Reads such a column through Dapper.</summary>
    internal sealed class FromColumn : SqlMapper.TypeHandler<Json<T>>
    {
        public override Json<T> Parse(object value) => new((string)value);

        public override void SetValue(IDbDataParameter parameter, Json<T> value) => parameter.Value = value.Text;
    }
}

/// <summary>Writes any <see cref="Json{T}"/>.</summary>
internal sealed class JsonConverters : JsonConverterFactory
{
    public override bool CanConvert(Type typeToConvert) =>
        typeToConvert.IsGenericType && typeToConvert.GetGenericTypeDefinition() == typeof(Json<>);

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(Verbatim<>).MakeGenericType(typeToConvert.GenericTypeArguments))!;

    private sealed class Verbatim<T> : JsonConverter<Json<T>>
    {
        public override Json<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            new(JsonElement.ParseValue(ref reader).GetRawText());

        public override void Write(Utf8JsonWriter writer, Json<T> value, JsonSerializerOptions options) =>
            writer.WriteRawValue(value.Text ?? "null", skipInputValidation: true);
    }
}
