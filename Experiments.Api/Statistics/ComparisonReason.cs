namespace Experiments.Api.Statistics;

/// <summary>Why two arms cannot be compared, or an interval does not exist.</summary>
internal enum ComparisonReason
{
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
