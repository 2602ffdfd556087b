using System.Text.Json;
using System.Text.Json.Serialization;

namespace Experiments.Api.Platform.Http;

/// <summary>A member of a PATCH body: absent, or present with a value that may be null (JSON merge patch, RFC 7396).</summary>
[JsonConverter(typeof(OptionalConverters))]
internal readonly record struct Optional<T>(T? Value)
{
    public bool IsPresent { get; } = true;
}

/// <summary>Reads any <see cref="Optional{T}"/>; what is absent is never asked for and stays the default.</summary>
internal sealed class OptionalConverters : JsonConverterFactory
{
    public override bool CanConvert(Type typeToConvert) =>
        typeToConvert.IsGenericType && typeToConvert.GetGenericTypeDefinition() == typeof(Optional<>);

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(Reader<>).MakeGenericType(typeToConvert.GenericTypeArguments))!;

    private sealed class Reader<T> : JsonConverter<Optional<T>>
    {
        public override bool HandleNull => true;

        public override Optional<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            new(JsonSerializer.Deserialize<T>(ref reader, options));

        public override void Write(Utf8JsonWriter writer, Optional<T> value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, value.IsPresent ? value.Value : (object?)null, options);
    }
}
