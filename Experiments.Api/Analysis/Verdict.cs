namespace Experiments.Api.Analysis;

/// <summary>What can be said of a treatment beside control, by one metric.</summary>
internal enum Verdict
{
    Winning,
    Losing,
    Inconclusive,
    CollectingData,
    Invalid,
}

/// <summary>Why a verdict, or the recommendation, is what it is.</summary>
internal enum VerdictReason
{
    SignificantlyBetter,
    SignificantlyWorse,
    NotSignificant,
    ShareWithValue,
    GuardrailHarmed,
    GuardrailSafe,
    GuardrailUnclear,
    GuardrailUnknown,
    NoPrimaryMetric,
    MetricFailed,
    SampleRatioMismatch,

    // Those of a comparison.
    NotEnoughIdentities,
    NotEnoughConversions,
    NotEnoughValues,
    ZeroVariance,
    ZeroBaseline,
    ControlNearZero,
    NoControl,
}
