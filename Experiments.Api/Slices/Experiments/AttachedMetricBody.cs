using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Experiments;

/// <summary>A metric that an experiment is created with.</summary>
/// <param name="Metric">The id of the metric.</param>
/// <param name="Role">Primary, secondary or guardrail.</param>
/// <param name="ExpectedDirection">What is expected of it; by default what the metric's direction says.</param>
/// <param name="Margin">By which share of control's mean it may get worse and still be called safe, from 0 to 1.</param>
/// <param name="Metadata">An object of the client's own.</param>
internal sealed record AttachedMetricBody(
    [property: Must(Required = true)] long? Metric = null,
    [property: Words<MetricRole>] string? Role = null,
    [property: Words<ExpectedDirection>] string? ExpectedDirection = null,
    [property: Must(Minimum = 0, Maximum = 1)] double? Margin = null,
    JsonElement? Metadata = null
)
{
    private const int Most = 100;
    private static readonly JsonElement Empty = JsonElement.Parse("{}");

    /// <summary>Reports what is wrong with the metrics that an experiment is to have.</summary>
    public static void Check(IReadOnlyList<AttachedMetricBody?>? metrics, Action<string, string> wrong)
    {
        if (metrics?.Count > Most)
        {
            wrong("metrics", $"There may be {Most} of these at most.");
            return;
        }

        var (ids, primaries) = (new HashSet<long>(), 0);
        foreach (var (index, metric) in (metrics ?? []).Index())
        {
            Demand(metric?.Metric is not null, "metric", "This is required: the id of a metric.");
            Demand(metric?.Metric is not { } id || ids.Add(id), "metric", "A metric can be attached only once.");
            OneOf(metric?.Role, "role", MetricRules.Roles);
            Demand(metric?.Role != Words.Of(MetricRole.Primary) || ++primaries == 1, "role", "There may be one primary metric at most.");
            OneOf(metric?.ExpectedDirection, "expected_direction", MetricRules.ExpectedDirections);
            Demand(MetricRules.IsMargin(metric?.Margin), "margin", MetricRules.NoMargin);
            Demand(MetricRules.IsMetadata(metric?.Metadata), "metadata", MetricRules.NoMetadata);

            void OneOf(string? word, string field, string[] words) =>
                Demand(word is null || words.Contains(word), field, $"This must be one of: {string.Join(", ", words)}.");

            void Demand(bool holds, string field, string message)
            {
                if (!holds)
                {
                    wrong($"metrics[{index}].{field}", message);
                }
            }
        }
    }

    /// <summary>
    /// The metrics as the statement takes them, or null for none. If none is called primary, the first that has no role is; the others
    /// without one are secondary.
    /// </summary>
    public static string? WithRoles(IReadOnlyList<AttachedMetricBody?>? metrics)
    {
        if (metrics is not { Count: > 0 })
        {
            return null;
        }

        var isFree = metrics.All(metric => metric!.Role != Words.Of(MetricRole.Primary));
        return JsonSerializer.Serialize(
            metrics.Select(metric =>
            {
                var role = metric!.Role ?? Words.Of(isFree ? MetricRole.Primary : MetricRole.Secondary);
                isFree &= metric.Role is not null;
                return new
                {
                    metric = metric.Metric,
                    role,
                    expected_direction = metric.ExpectedDirection,
                    margin = metric.Margin,
                    metadata = metric.Metadata ?? Empty,
                };
            })
        );
    }
}
