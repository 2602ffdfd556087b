using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using NpgsqlTypes;

namespace Experiments.Api.Folding;

/// <summary>An experiment that has started, as much of it as it takes to judge an exposure.</summary>
internal sealed class FoldedExperiment
{
    private readonly string _salt;
    private readonly string[] _keys;
    private readonly double[] _cumulative;

    public FoldedExperiment(Row row)
    {
        (Id, EnvironmentId, FeatureName, _salt) = (row.Id, row.EnvironmentId, row.FeatureName, row.Salt);
        var variants = StoredJson.Variants(row.Variants);
        _keys = [.. variants.Select(variant => variant.Key)];
        _cumulative = Assignment.Cumulate(variants.Select(variant => variant.Weight));
        Timeline = new(
            [.. row.Runs.Select(run => (run.LowerBound, run.UpperBoundInfinite ? (DateTime?)null : run.UpperBound))],
            [.. StoredJson.Parse(row.Rollouts)!.AsArray().Select(former =>
                (former!["percentage"]!.GetValue<decimal>(), former["until"]!.GetValue<DateTimeOffset>().UtcDateTime))],
            row.RolloutPercentage,
            row.EndedAt);
    }

    public long Id { get; }

    /// <summary>Whether what came in then was too late to count: the experiment had ended, and the time for late events was over.</summary>
    public bool WasFinal(DateTime receivedAt, TimeSpan late) => Timeline.EndedAt is { } ended && receivedAt > ended + late;

    public long EnvironmentId { get; }

    public string FeatureName { get; }

    public Timeline Timeline { get; }

    /// <summary>Whether an exposure is to this experiment: it names it, or else only its feature, on which at most one experiment was going on at any time.</summary>
    public bool IsConcerned(StoredEvent exposure) => exposure.EnvironmentId == EnvironmentId
        && (exposure.ExperimentId is { } named ? named == Id : string.Equals(exposure.FeatureName, FeatureName, StringComparison.OrdinalIgnoreCase));

    /// <summary>What one exposure amounts to, or null when it is none of this experiment: from before its start or after its end.</summary>
    public Exposures? Judge(string identifier, string? variant, DateTime at)
    {
        if (Timeline.RanAt(at))
        {
            var shown = Array.IndexOf(_keys, variant);
            return Exposures.WhileRunning(
                Own(identifier), shown < 0 ? Exposures.Foreign : shown, at, Assignment.Admits(_salt, identifier, Timeline.RolloutAt(at)));
        }

        return Timeline.WasPausedAt(at) ? Exposures.DuringPause(Own(identifier), at) : null;
    }

    /// <summary>What the identity is counted as.</summary>
    public string Outcome(Exposures exposures) => exposures.Reason ?? Exposures.InVariant + _keys[exposures.Own];

    private int Own(string identifier) => Assignment.Variant(_salt, identifier, _cumulative);

    internal sealed record Row
    {
        public long Id { get; init; }

        public long EnvironmentId { get; init; }

        public string FeatureName { get; init; } = "";

        public string Salt { get; init; } = "";

        public string Variants { get; init; } = "";

        public string Rollouts { get; init; } = "";

        public decimal RolloutPercentage { get; init; }

        public NpgsqlRange<DateTime>[] Runs { get; init; } = [];

        public DateTime? EndedAt { get; init; }
    }
}
