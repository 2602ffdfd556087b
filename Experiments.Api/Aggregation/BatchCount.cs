using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>What is needed to count the events of some batches.</summary>
/// <param name="Connection">The connection of the aggregating transaction.</param>
/// <param name="Batches">The batches.</param>
/// <param name="Experiments">The experiments that they may concern.</param>
/// <param name="Links">The metrics of those.</param>
/// <param name="Joined">The identities that turned out to be a known one.</param>
/// <param name="Incomplete">Experiments of which a metric cannot be read, so that its values are left as they are.</param>
/// <param name="HasAliases">Whether any identity of these environments has an alias.</param>
/// <param name="Late">How long after the end of an experiment late events count.</param>
internal sealed record BatchCount(
    NpgsqlConnection Connection,
    BatchSet Batches,
    IReadOnlyList<ExperimentDefinition> Experiments,
    IReadOnlyList<MetricLink> Links,
    IReadOnlyList<AliasGraph.Entry> Joined,
    IReadOnlySet<long> Incomplete,
    bool HasAliases,
    TimeSpan Late
)
{
    /// <summary>Takes what the counts of exposures change by.</summary>
    public ExposureCountsDelta Counts { get; } = new();

    /// <summary>Takes what the sums of metrics change by.</summary>
    public MetricSumsDelta Sums { get; } = new();

    /// <summary>The names of the events that some experiment needs.</summary>
    public string[] Names { get; } = MetricLink.EventsOf(Experiments, Links);

    /// <summary>The metrics of some of the experiments.</summary>
    public IReadOnlyList<MetricLink> LinksOf(IReadOnlyCollection<ExperimentDefinition> experiments) =>
        [.. Links.Where(link => experiments.Contains(link.Experiment))];

    /// <summary>Whether what arrived in a batch was early enough to count for an experiment.</summary>
    public bool InTime(ExperimentDefinition experiment, long batch) => experiment.InTime(batch, Late);
}
