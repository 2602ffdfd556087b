using System.Text.Json;
using System.Text.Json.Nodes;
using Experiments.Api.Domain;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.PostHog;

/// <summary>
/// Flags as PostHog's SDKs read them before version 2 of the request: names with variants, payloads apart, and the settings.
/// </summary>
internal static class PostHogDecision
{
    public static byte[] Write(IReadOnlyList<CompiledFlag> flags, in Units units)
    {
        var (values, payloads) = (new JsonObject(), new JsonObject());
        var known = default(HoldoutCheck);
        foreach (var compiled in flags)
        {
            var outcome = compiled.Evaluate(units, ref known);
            var flag = JsonNode.Parse([(byte)'{', .. compiled.In(FlagFormat.PostHog, outcome).Span, (byte)'}'])![compiled.Name]!;
            values[compiled.Name] = flag["variant"]?.DeepClone() ?? flag["enabled"]!.DeepClone();
            if (flag["metadata"]!["payload"] is { } payload)
            {
                payloads[compiled.Name] = payload.DeepClone();
            }
        }

        var decision = JsonSerializer.SerializeToNode(GetPostHogConfig.Settings.OfThisService, ApiJson.Options)!.AsObject();
        decision["featureFlags"] = values;
        decision["featureFlagPayloads"] = payloads;
        decision["errorsWhileComputingFlags"] = false;
        return System.Text.Encoding.UTF8.GetBytes(decision.ToJsonString());
    }
}
