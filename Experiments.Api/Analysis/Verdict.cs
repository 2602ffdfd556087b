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

    /// <summary>A secondary metric improves, but the primary metric is not decided for this variant yet.</summary>
    PrimaryNotDecided,
    ShareWithValue,
    ContradictoryEvidence,

    /// <summary>Significant once, but the difference now points the other way.</summary>
    EffectChanged,
    GuardrailHarmed,
    GuardrailSafe,

    /// <summary>Significantly worse, but not by more than the margin.</summary>
    GuardrailWithinMargin,

    /// <summary>Significantly worse, but it is not known yet whether by more than the margin.</summary>
    GuardrailWorse,
    GuardrailUnclear,
    GuardrailNotJudged,
    GuardrailFailed,
    SecondaryWorse,
    NoPrimaryMetric,
    NoTreatment,
    NotStarted,
    EventsNotCounted,
    BackfillPending,
    MetricFailed,
    SampleRatioMismatch,

    // Those of a comparison.
    NotEnoughIdentities,
    NotEnoughConversions,
    NotEnoughNonConversions,
    NotEnoughValues,
    NotEnoughDenominators,
    ZeroVariance,
    ZeroBaseline,
    ControlNearZero,
    NoControl,
}
