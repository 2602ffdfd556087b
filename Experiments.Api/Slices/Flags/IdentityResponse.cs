using System.Buffers;
using System.Globalization;
using System.IO.Hashing;
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
        identifier is not null && Identity.Fault(identifier) is { } fault ? ProblemResult.Field("identifier", fault) : null;

    /// <summary>Answers with the flags of an identity, or without one with the features' own values.</summary>
    public static void Write(HttpContext http, Snapshot snapshot, in Units units, ReadOnlySpan<byte> traits)
    {
        var before = new ArrayBufferWriter<byte>(256);
        before.Write("{\"identifier\":"u8);
        using (var text = new Utf8JsonWriter(before))
        {
            // As Flagsmith does: whoever has no identifier is called by what is known of them, and assigned nothing.
            text.WriteStringValue(units.Identifier ?? XxHash128.HashToUInt128(traits).ToString("x32", CultureInfo.InvariantCulture));
        }

        before.Write(",\"traits\":"u8);
        before.Write(traits);
        before.Write(",\"flags\":["u8);
        ServedResponse.WriteFlags(
            http,
            snapshot,
            units,
            before.WrittenSpan,
            "]}"u8,
            ServedResponse.Tag(snapshot, before.WrittenSpan),
            FlagFormat.Flagsmith
        );
    }
}
