using System.Text.Json;
using System.Text.Json.Serialization;

namespace Experiments.Api.Platform.Http;

/// <summary>A body in an external format. It is accepted with whatever members it has.</summary>
[JsonConverter(typeof(Reader))]
internal sealed record JsonDocumentBody(JsonElement Json)
{
    private sealed class Reader : JsonConverter<JsonDocumentBody>
    {
        public override JsonDocumentBody Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            new(JsonElement.ParseValue(ref reader));

        public override void Write(Utf8JsonWriter writer, JsonDocumentBody value, JsonSerializerOptions options) =>
            value.Json.WriteTo(writer);
    }
}
