namespace Experiments.Api.Analysis;

/// <summary>How an attempt to compute results ended.</summary>
internal enum Computation
{
    Done,

    /// <summary>Another request or replica is computing them.</summary>
    Busy,

    /// <summary>It failed, which is recorded with the results.</summary>
    Failed,
}
