using System.Buffers;
using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform;

namespace Experiments.Api.Slices.Flags;

/// <summary>The response to both identity requests (GET and POST).</summary>
internal static class IdentityResponse
{
    /// <summary>What is wrong with an identifier, or null.</summary>
    public static ProblemResult? Failure(string? identifier) =>
        string.IsNullOrEmpty(identifier)
            ? Platform.ProblemResult.Field("identifier", "This is required: the identifier of the user, device or whatever is assigned.")
        : !Identity.Fits(identifier) ? Platform.ProblemResult.Field("identifier", Identity.TooLong)
        : null;

    public static void Write(HttpContext http, Snapshot snapshot, string identifier, ReadOnlySpan<byte> traits)
    {
        var before = new ArrayBufferWriter<byte>(256);
        before.Write("{\"identifier\":"u8);
        using (var text = new Utf8JsonWriter(before))
        {
            text.WriteStringValue(identifier);
        }

        before.Write(",\"traits\":"u8);
        before.Write(traits);
        before.Write(",\"flags\":["u8);
        ServedResponse.WriteFlags(
            http,
            snapshot,
            identifier,
            before.WrittenSpan,
            "]}"u8,
            ServedResponse.Tag(snapshot, before.WrittenSpan),
            ofrep: false
        );
    }
}
