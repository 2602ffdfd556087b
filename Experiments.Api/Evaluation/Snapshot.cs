using System.Collections.Frozen;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;

namespace Experiments.Api.Evaluation;

/// <summary>Everything that one environment serves, at one moment. Immutable: a newer snapshot replaces it.</summary>
internal sealed class Snapshot
{
    private readonly byte[] _ofrepEnd;
    private readonly FrozenDictionary<string, CompiledFlag> _byName;

    public Snapshot(long environmentId, IReadOnlyCollection<SnapshotRow> rows)
    {
        EnvironmentId = environmentId;
        ExpiresAt = rows.First().ExpiresAt;
        var features = rows.Where(row => row.FeatureId is not null).ToList();
        Flags = [.. features.Select(row => new CompiledFlag(row))];
        Batch = new(Flags);
        var stream = $"/sse/environments/{rows.First().EnvironmentKey}/stream";
        _ofrepEnd = Encoding.UTF8.GetBytes($"],\"eventStreams\":[{{\"type\":\"sse\",\"endpoint\":{{\"requestUri\":\"{stream}\"}}}}]}}");
        WebExperiments = WebExperiment.List(features);
        _byName = Flags.ToFrozenDictionary(flag => flag.Name, StringComparer.Ordinal);
        KeptTraits = JsonSerializer.Deserialize<string[]>(rows.First().KeptTraits)!;
        UnitKeys = [.. features.SelectMany(row => new[] { row.UnitKey, row.HoldoutUnitKey }).OfType<string>().Distinct()];
        Fingerprint = XxHash128.HashToUInt128(Encoding.UTF8.GetBytes(string.Join('\n', rows)));
    }

    private readonly long _made = System.Diagnostics.Stopwatch.GetTimestamp();

    public long EnvironmentId { get; }

    /// <summary>For how long it has been known here.</summary>
    public TimeSpan Age => System.Diagnostics.Stopwatch.GetElapsedTime(_made);

    /// <summary>When the key is no longer valid, because another one has replaced it.</summary>
    public DateTime? ExpiresAt { get; }

    public IReadOnlyList<CompiledFlag> Flags { get; }

    /// <summary>All of them at once.</summary>
    public FlagBatch Batch { get; }

    /// <summary>The end of OFREP's answer, which says where a client is told of changes.</summary>
    public ReadOnlySpan<byte> OfrepEnd => _ofrepEnd;

    /// <summary>The keys, besides the identifier, by whose values something is assigned.</summary>
    public IReadOnlyList<string> UnitKeys { get; }

    /// <summary>The keys of the traits that are kept of identities.</summary>
    public IReadOnlyList<string> KeptTraits { get; }

    /// <summary>The web experiments that are running, as they are answered.</summary>
    public ReadOnlyMemory<byte> WebExperiments { get; }

    /// <summary>Equal for two snapshots with the same content.</summary>
    public UInt128 Fingerprint { get; }

    public CompiledFlag? Flag(string name) => _byName.GetValueOrDefault(name);
}

/// <summary>
/// One feature of an environment and the experiment that runs on it, or, with nothing but nulls, an environment without features.
/// </summary>
internal sealed record SnapshotRow
{
    public long EnvironmentId { get; init; }

    public string EnvironmentKey { get; init; } = "";

    public DateTime? ExpiresAt { get; init; }

    public string KeptTraits { get; init; } = "[]";

    public long? FeatureId { get; init; }

    public string? FeatureName { get; init; }

    public bool Enabled { get; init; }

    public bool IsMultivariate { get; init; }

    public string? InitialValue { get; init; }

    /// <summary>The options with their percentages, if there are any and no experiment is running or paused.</summary>
    public string? Options { get; init; }

    /// <summary>What the identities of the holdout get.</summary>
    public string? HeldValue { get; init; }

    public long? ExperimentId { get; init; }

    public string? ExperimentName { get; init; }

    public string? Salt { get; init; }

    public decimal? RolloutPercentage { get; init; }

    public string? Variants { get; init; }

    public string? ExperimentType { get; init; }

    public string? Transforms { get; init; }

    public long? HoldoutId { get; init; }

    public string? HoldoutSalt { get; init; }

    public decimal? HoldoutPercentage { get; init; }

    /// <summary>The key whose value is assigned, or null for the identifier.</summary>
    public string? UnitKey { get; init; }

    /// <summary>The key whose value is held out, or null for the identifier.</summary>
    public string? HoldoutUnitKey { get; init; }

    /// <summary>How the experiment assigns, or null without one.</summary>
    public string? Hashing { get; init; }
}
