using Experiments.Api.Platform.Wire;
using Experiments.Api.Statistics;

namespace Experiments.Api.Slices.Exposures;

/// <summary>Who was shown what in an experiment.</summary>
[Example(
    """
    {"as_of": "2026-11-22T12:00:00Z", "events_not_counted": 0, "counting_held": null, "total": 1000,
     "variants": [{"key": "control", "weight": 50, "identities": 507, "share": 0.507}, {"key": "green", "weight": 50, "identities": 493, "share": 0.493}], "held_out": 0,
     "set_aside": {"several_variants": 2, "not_its_own_variant": 0, "not_enrolled": 1, "while_paused": 0, "before_start": 0, "no_identifier": 4, "test_identity": 0},
     "sample_ratio": {"p_value": 0.658, "is_healthy": true},
     "series": {"interval": "hour", "points": [{"at": "2026-11-22T11:00:00Z", "identities": {"control": 507, "green": 493}}]}}
    """)]
internal sealed record ExposuresView(
    DateTime AsOf, long EventsNotCounted, CountingHeld? CountingHeld, long Total, IReadOnlyList<ExposedVariant> Variants, long HeldOut, IReadOnlyDictionary<string, long> SetAside,
    SampleRatioView SampleRatio, ExposureSeries Series);

/// <summary>Since when the events of the environment wait, and why: something in it is <c>locked</c>, or counting them has <c>failed</c>, as the log of the service says.</summary>
internal sealed record CountingHeld(DateTime Since, string Reason)
{
    public static CountingHeld? Of(DateTime? since, string? reason) => since is null ? null : new(since.Value, reason!);
}

/// <summary>How many identities count in a variant, and their share of all that count.</summary>
internal sealed record ExposedVariant(string Key, decimal Weight, long Identities, double? Share)
{
    public static IReadOnlyList<ExposedVariant> Of(IEnumerable<(string Key, decimal Weight)> variants, IReadOnlyList<long> identities)
    {
        var total = identities.Sum();
        return [.. variants.Zip(identities, (variant, count) => new ExposedVariant(variant.Key, variant.Weight, count, total == 0 ? null : (double)count / total))];
    }
}

/// <summary>Whether the variants have the identities that their weights promise. Both are null before anyone has come.</summary>
internal sealed record SampleRatioView(double? PValue, bool? IsHealthy)
{
    public static SampleRatioView Of(IReadOnlyList<long> identities, IEnumerable<decimal> shares)
    {
        double[] weights = [.. shares.Select(share => (double)share)];
        var p = SampleRatio.PValue(identities, weights);
        return new(p, p is null || !SampleRatio.IsTelling(identities.Sum(), weights) ? null : p >= SampleRatio.Alarm);
    }
}

/// <summary>Identities by the instant of their first exposure.</summary>
internal sealed record ExposureSeries(string Interval, IReadOnlyList<ExposurePoint> Points);

internal sealed record ExposurePoint(DateTime At, IReadOnlyDictionary<string, long> Identities);
