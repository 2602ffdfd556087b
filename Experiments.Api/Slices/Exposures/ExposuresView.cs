using Experiments.Api.Analysis;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Exposures;

/// <summary>Who was shown what in an experiment.</summary>
[Example(
    """
        {"as_of": "2026-11-22T12:00:00Z", "events_not_counted": 0, "counting_held": null, "total": 1000,
         "variants": [{"key": "control", "weight": 50, "identities": 507, "share": 0.507},
             {"key": "green", "weight": 50, "identities": 493, "share": 0.493}], "held_out": 0,
         "excluded": {"several_variants": 2, "not_its_own_variant": 0, "not_enrolled": 1, "while_paused": 0, "before_start": 0,
             "no_identifier": 4, "test_identity": 0},
         "sample_ratio": {"p_value": 0.658, "sequential_p_value": 1, "is_healthy": true},
         "series": {"interval": "hour", "points": [{"at": "2026-11-22T11:00:00Z", "identities": {"control": 507, "green": 493}}]}}
        """
)]
internal sealed record ExposuresView(
    DateTime AsOf,
    long EventsNotCounted,
    CountingHeld? CountingHeld,
    long Total,
    IReadOnlyList<VariantExposures> Variants,
    long HeldOut,
    IReadOnlyDictionary<string, long> Excluded,
    SampleRatioView SampleRatio,
    ExposureSeries Series
);

/// <summary>Identities by the instant of their first exposure.</summary>
internal sealed record ExposureSeries([property: Words("hour", "day")] string Interval, IReadOnlyList<ExposurePoint> Points);

/// <summary>New identities of an hour or day, by variant.</summary>
internal sealed record ExposurePoint(DateTime At, IReadOnlyDictionary<string, long> Identities);
