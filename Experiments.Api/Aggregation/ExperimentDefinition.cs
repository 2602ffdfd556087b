using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform.Data;
using NpgsqlTypes;

namespace Experiments.Api.Aggregation;

/// <summary>An experiment that has started, with everything that is needed to judge an exposure.</summary>
internal sealed class ExperimentDefinition
{
    private readonly VariantAssigner _assigner;
    private readonly string[] _keys;
    private readonly ExposureCriteria _criteria;
    private readonly MetricSource? _filtered;
    private readonly string[] _breakdowns;

    public ExperimentDefinition(Row row)
    {
        (Id, EnvironmentId, FeatureName, UnitKey) = (row.Id, row.EnvironmentId, row.FeatureName, row.UnitKey);
        (_criteria, _breakdowns, IsOfWarehouse) = (StoredJson.Read<ExposureCriteria>(row.Exposure), row.Breakdowns, row.IsOfWarehouse);
        if (_criteria.TestIdentities is { IsValid: false })
        {
            throw new FormatException("exposure.test_identities needs a trait and values, or rules.");
        }

        if (_criteria.Filters is { } filters)
        {
            if (filters.Any(filter => !FilterRules.IsProperty(filter?.Property) || filter?.Error is not null))
            {
                throw new FormatException("exposure.filters need a property, an operator and a value that goes with it.");
            }

            _filtered = new(_criteria.Event, filters);
        }

        var variants = StoredJson.Variants(row.Variants);
        _keys = [.. variants.Select(variant => variant.Key)];
        _assigner = new(
            row.Salt,
            [.. variants.Select(variant => variant.Weight)],
            row.HoldoutSalt,
            row.HoldoutPercentage ?? 0,
            FlagsmithHashing.Of(row.Hashing, row.EnvironmentId, row.Id)
        );
        Timeline = new(
            [.. row.Runs.Select(run => (run.LowerBound, run.UpperBoundInfinite ? (DateTime?)null : run.UpperBound))],
            [
                .. StoredJson
                    .Parse(row.Rollouts)!
                    .AsArray()
                    .Select(former =>
                        (former!["percentage"]!.GetValue<decimal>(), former["until"]!.GetValue<DateTimeOffset>().UtcDateTime)
                    ),
            ],
            row.RolloutPercentage,
            row.EndedAt
        )
        {
            WindowsCloseAt = row.EndedAt + row.WindowsRunOn,
        };
    }

    public long Id { get; }

    public long EnvironmentId { get; }

    public string FeatureName { get; }

    /// <summary>Whether it is counted from a warehouse, and not from the events of the service.</summary>
    public bool IsOfWarehouse { get; }

    public Timeline Timeline { get; }

    /// <summary>The name of the event that counts as an exposure.</summary>
    public string ExposureEvent => _criteria.Event ?? ReceivedEvent.Exposure;

    /// <summary>The key of what is assigned and counted, or null for the identifier.</summary>
    public string? UnitKey { get; }

    /// <summary>Whether it needs the traits of exposures.</summary>
    public bool ReadsTraits => _criteria.TestIdentities is not null || _breakdowns.Length > 0;

    /// <summary>Whether it needs the metadata of exposures.</summary>
    public bool ReadsMetadata => _criteria.FeatureProperty is not null || _criteria.Filters is not null;

    /// <summary>
    /// Whether an event received at this time is too late to count: the experiment has ended, its windows are closed, and the period for
    /// late events is over.
    /// </summary>
    public bool WasFinal(DateTime receivedAt, TimeSpan late) => Timeline.WindowsCloseAt is { } closed && receivedAt > closed + late;

    /// <summary>Whether what arrived in a batch was early enough to count.</summary>
    public bool InTime(long batch, TimeSpan late) => !WasFinal(BatchId.ReceivedAt(batch), late);

    /// <summary>The id of the last batch that can count.</summary>
    public long LastBatch(TimeSpan late) => Timeline.WindowsCloseAt is { } closed ? BatchId.LastOf(closed + late) : long.MaxValue;

    /// <summary>
    /// Whether an event is an exposure to this experiment. An exposure from the SDKs names the experiment, or else only its feature. At
    /// most one experiment was active on a feature at any time.
    /// </summary>
    public bool IsConcerned(StoredEvent raw) =>
        raw.EnvironmentId == EnvironmentId
        && raw.Event == ExposureEvent
        && (
            _criteria.Event is not null
            || (
                raw.ExperimentId is { } named
                    ? named == Id
                    : string.Equals(raw.FeatureName, FeatureName, StringComparison.OrdinalIgnoreCase)
            )
        )
        && Passes(raw);

    private bool Passes(StoredEvent raw)
    {
        if (_filtered is null)
        {
            return true;
        }

        using var metadata = raw.Metadata is null ? null : StoredJson.Document(raw.Metadata);
        return _filtered.Passes(raw.Value, metadata?.RootElement);
    }

    /// <inheritdoc cref="VariantAssigner.Draw"/>
    public double Draw(string identifier) => _assigner.Draw(identifier);

    /// <summary>
    /// The state that results from one exposure of a unit. Null if the exposure does not belong to this experiment: it precedes the start
    /// without naming the experiment, follows the end, or lacks the variant that it should name.
    /// </summary>
    public ExposureState? Judge(StoredEvent raw)
    {
        var (identifier, at) = (raw.Unit(UnitKey)!, raw.At);
        var assigned = IsOfWarehouse ? 0 : AssignedVariant(identifier);
        using var traits = raw.Traits is null || !ReadsTraits ? null : StoredJson.Document(raw.Traits);
        var isTest = _criteria.TestIdentities is { } tests && tests.Have(traits?.RootElement ?? default);
        if (!Timeline.RanAt(at))
        {
            return Timeline.WasPausedAt(at) ? ExposureState.DuringPause(assigned, at, isTest)
                : raw.ExperimentId == Id && Timeline.IsJustBefore(at, BatchId.ReceivedAt(raw.Batch))
                    ? ExposureState.TooEarly(assigned, at, isTest)
                : null;
        }

        return Shown(raw, assigned) is { } shown
            ? ExposureState.WhileRunning(
                    // Of a warehouse, its table says who was assigned to what. Nobody is assigned to what the experiment does not have.
                    !IsOfWarehouse ? assigned
                    : shown == ExposureState.Foreign ? 0
                    : shown,
                shown,
                at,
                IsOfWarehouse || _assigner.IsIncluded(identifier, Timeline.RolloutAt(at)),
                isTest,
                _breakdowns is [] ? null : TraitLevels.Of(traits?.RootElement, _breakdowns)
            )
            : null;
    }

    /// <summary>Where the identity counts, or why it does not.</summary>
    public Inclusion Include(ExposureState exposures) => exposures.Include(_criteria.MultipleVariants == ExposureCriteria.FirstSeen);

    /// <summary>The outcome under which the identity is counted.</summary>
    public string OutcomeOf(Inclusion standing) =>
        standing.Reason
        ?? (standing.Arm == ExposureState.HeldOut ? ExposureState.InHoldout : ExposureState.InVariant + _keys[standing.Arm!.Value]);

    // The index of the variant that the exposure names. A held-out identity sees control's value without a variant name.
    private int? Shown(StoredEvent raw, int assigned)
    {
        if (_criteria.Event is not null && _criteria.FeatureProperty is null)
        {
            return Math.Max(0, assigned);
        }

        var variant = _criteria.Event is null ? raw.Value : Member(raw.Metadata, _criteria.FeatureProperty!);
        if (variant is null && (assigned == ExposureState.HeldOut || _criteria.Event is not null))
        {
            return assigned == ExposureState.HeldOut ? 0 : null;
        }

        var index = Array.IndexOf(_keys, variant);
        return index < 0 ? ExposureState.Foreign : index;
    }

    /// <summary>What assignment gives to an identifier, as a bit of <see cref="ExposureState.AssignedVariants"/>.</summary>
    public int Assigned(string identifier) => ExposureState.Assigned(AssignedVariant(identifier));

    private int AssignedVariant(string identifier) =>
        _assigner.HoldsOut(identifier) ? ExposureState.HeldOut : _assigner.Variant(identifier);

    private static string? Member(string? json, string name)
    {
        using var document = json is null ? null : StoredJson.Document(json);
        return
            document?.RootElement is { ValueKind: JsonValueKind.Object } members
            && members.TryGetProperty(name, out var member)
            && member.ValueKind == JsonValueKind.String
            ? member.GetString()
            : null;
    }

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

        public TimeSpan WindowsRunOn { get; init; }

        public string? HoldoutSalt { get; init; }

        public decimal? HoldoutPercentage { get; init; }

        public string Exposure { get; init; } = "{}";

        public string[] Breakdowns { get; init; } = [];

        public string? UnitKey { get; init; }

        public string Hashing { get; init; } = "";

        public bool IsOfWarehouse { get; init; }
    }
}
