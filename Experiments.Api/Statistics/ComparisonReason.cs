namespace Experiments.Api.Statistics;

/// <summary>Why two arms cannot be compared, or an interval does not exist.</summary>
internal enum ComparisonReason
{
    NotEnoughIdentities,
    NotEnoughConversions,
    NotEnoughValues,
    ZeroVariance,
    ZeroBaseline,
    ControlNearZero,
    NoControl,
}
