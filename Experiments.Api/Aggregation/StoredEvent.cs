using System.Globalization;
using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>An event as it is stored.</summary>
internal sealed class StoredEvent
{
    /// <summary>
    /// The columns, in the order in which <see cref="Of"/> reads them. Feature and variant names are never longer than these limits. The
    /// experiment id is -1 if an exposure names an experiment that cannot exist. The first four parameters of a statement with these are
    /// those of <see cref="Needs"/>.
    /// </summary>
    public const string Columns = $$"""
        batch, environment_id, happened_at, key, event, left(feature_name, 256), identifier, left(value, 1000),
        CASE WHEN event = ANY ($1::text[]) THEN traits::text END,
        CASE WHEN $2::text[] <> '{}' THEN ARRAY(SELECT unit_of(unit.key, identifier, traits, metadata)
            FROM unnest($2::text[]) WITH ORDINALITY AS unit(key, place) ORDER BY place) END,
        CASE WHEN event = ANY ($4::text[]) THEN metadata::text END,
        CASE WHEN event <> '$flag_exposure' THEN NULL
             WHEN metadata->>'experiment_id' ~ '^[0-9]{1,18}$' THEN (metadata->>'experiment_id')::bigint
             WHEN metadata->>'experiment_id' IS NOT NULL THEN -1 END,
        CASE WHEN $3 IS NOT NULL THEN ({{Person}}) END
        """;

    /// <summary>
    /// Of an event whose identifier is an alias: the known identifier, and the batch that said so, which is the third parameter at most.
    /// </summary>
    public const string Person = """
        SELECT ARRAY[k.identifier, a.batch::text]
        FROM identity_aliases a
        JOIN identity_aliases k ON k.environment_id = a.environment_id AND k.identity = a.known_as
        WHERE a.environment_id = events.environment_id AND a.identity = identity_of(events.identifier) AND a.identity <> a.known_as
            AND a.batch <= $3::bigint
        """;

    /// <summary>
    /// Which slice an event is in, by the unit that it counts for: the same as <see cref="RebuildWriter.SliceOf(string, int)"/>. Of an
    /// alias it is what became known of it by the third parameter.
    /// </summary>
    /// <param name="unit">The unit where it is no alias.</param>
    /// <param name="slices">How many slices there are.</param>
    public static string Slice(string unit, string slices)
    {
        var counted = $"COALESCE(CASE WHEN $3 IS NOT NULL THEN (({Person}))[1] END, {unit})";
        return $"COALESCE(get_byte(sha256(convert_to({counted}, 'UTF8')), 0) * {slices} / 256, 0)";
    }

    /// <summary>How far around a range of time events are to be looked for by their timestamps.</summary>
    public const string Slack = ClockSkew.Slack;

    private string[] _unitKeys = [];
    private string?[] _units = [];
    private (string Identifier, long Batch)? _person;
    private (string Unit, Guid Identity)? _key;

    public required long Batch { get; init; }

    public required long EnvironmentId { get; init; }

    /// <summary>When it happened, by our clock.</summary>
    public required DateTime At { get; init; }

    public required long Key { get; init; }

    public required string Event { get; init; }

    public required string? FeatureName { get; init; }

    public required string? Identifier { get; init; }

    public required string? Value { get; init; }

    public required string? Traits { get; init; }

    public required string? Metadata { get; init; }

    /// <summary>The experiment that an exposure names; -1 if that experiment cannot exist, null if it names none.</summary>
    public required long? ExperimentId { get; init; }

    /// <summary>The value that assignment hashes, or null without one.</summary>
    /// <param name="key">The key of the unit, one of those that were needed; null for the identifier.</param>
    public string? Unit(string? key) => key is null ? (Identifier is "" ? null : Identifier) : _units[Array.IndexOf(_unitKeys, key)];

    /// <summary>The unit that it counts for: what an alias is known as, or else the same as <see cref="Unit"/>.</summary>
    /// <param name="experiment">The experiment.</param>
    /// <param name="inTime">Whether a batch was early enough to count for an experiment.</param>
    public string? CountedUnit(ExperimentDefinition experiment, Func<ExperimentDefinition, long, bool> inTime) =>
        experiment.UnitKey is null && _person is { } person && inTime(experiment, person.Batch)
            ? person.Identifier
            : Unit(experiment.UnitKey);

    /// <summary>The same, of whatever was read: only aliases that were said early enough are.</summary>
    public string? CountedUnit(string? key) => key is null && _person is { } person ? person.Identifier : Unit(key);

    /// <summary>What stands for a unit of it where it is a key. Many metrics ask for the same.</summary>
    public Guid KeyOf(string unit)
    {
        if (_key is not { } known || !ReferenceEquals(known.Unit, unit))
        {
            _key = known = (unit, Domain.Identity.Key(unit));
        }

        return known.Identity;
    }

    /// <summary>Streams the result of a statement, one event at a time.</summary>
    public static async Task Each(
        NpgsqlConnection connection,
        string sql,
        Needs needs,
        Action<StoredEvent> take,
        CancellationToken ct,
        params IReadOnlyList<NpgsqlParameter> parameters
    )
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = needs.EventsWithTraits });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = needs.UnitKeys });
        command.Parameters.Add(new NpgsqlParameter<long?> { TypedValue = needs.AliasesUntil });
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = needs.EventsWithMetadata });
        command.Parameters.AddRange(parameters.ToArray());
        await using var row = await command.ExecuteReaderAsync(ct);
        // The same few names occur again and again.
        var names = new Dictionary<string, string>();
        while (await row.ReadAsync(ct))
        {
            take(Of(row, names, needs.UnitKeys));
        }
    }

    private static StoredEvent Of(NpgsqlDataReader row, Dictionary<string, string> names, string[] unitKeys)
    {
        var name = row.GetString(4);
        return new()
        {
            Batch = row.GetInt64(0),
            EnvironmentId = row.GetInt64(1),
            At = row.GetDateTime(2),
            Key = row.GetInt64(3),
            Event = names.TryGetValue(name, out var known) ? known : names[name] = name,
            FeatureName = Text(row, 5),
            Identifier = Text(row, 6),
            Value = Text(row, 7),
            Traits = Text(row, 8),
            _unitKeys = unitKeys,
            _units = unitKeys.Length == 0 ? [] : row.GetFieldValue<string?[]>(9),
            Metadata = Text(row, 10),
            ExperimentId = row.IsDBNull(11) ? null : row.GetInt64(11),
            _person =
                !row.IsDBNull(12) && row.GetFieldValue<string[]>(12) is [{ } person, { } batch]
                    ? (person, long.Parse(batch, CultureInfo.InvariantCulture))
                    : null,
        };
    }

    /// <summary>What names the experiment it belongs to and is counted by its identifier, as what is read from a warehouse.</summary>
    public static StoredEvent OfWarehouse(
        ExperimentDefinition experiment,
        long batch,
        (string? Identifier, DateTime At, long Key) about,
        string name,
        string? value,
        string? traits = null,
        string? metadata = null
    ) =>
        new()
        {
            Batch = batch,
            EnvironmentId = experiment.EnvironmentId,
            At = about.At,
            Key = about.Key,
            Event = name,
            FeatureName = experiment.FeatureName,
            Identifier = about.Identifier,
            Value = value,
            Traits = traits,
            Metadata = metadata,
            ExperimentId = experiment.Id,
        };

    /// <summary>What a store other than PostgreSQL keeps: the same as the columns of <see cref="Columns"/> say.</summary>
    /// <param name="stored">The event, without what its traits and its metadata say.</param>
    /// <param name="needs">What is needed of it.</param>
    /// <param name="person">Of an event whose identifier is an alias: the known identifier, and the batch that said so.</param>
    public static StoredEvent Kept(StoredEvent stored, Needs needs, (string Identifier, long Batch)? person)
    {
        var isExposure = stored.Event == ReceivedEvent.Exposure;
        using var traits = needs.UnitKeys.Length == 0 || stored.Traits is null ? null : StoredJson.Document(stored.Traits);
        using var metadata =
            (needs.UnitKeys.Length == 0 && !isExposure) || stored.Metadata is null ? null : StoredJson.Document(stored.Metadata);
        return new()
        {
            Batch = stored.Batch,
            EnvironmentId = stored.EnvironmentId,
            At = stored.At,
            Key = stored.Key,
            Event = stored.Event,
            FeatureName = Left(stored.FeatureName, 256),
            Identifier = stored.Identifier,
            Value = Left(stored.Value, 1000),
            Traits = needs.EventsWithTraits.Contains(stored.Event) ? stored.Traits : null,
            _unitKeys = needs.UnitKeys,
            _units = Array.ConvertAll(needs.UnitKeys, key => UnitKey.ValueOf(key, traits?.RootElement, metadata?.RootElement)),
            Metadata = needs.EventsWithMetadata.Contains(stored.Event) ? stored.Metadata : null,
            ExperimentId = isExposure ? NamedExperiment(metadata?.RootElement) : null,
            _person = person,
        };
    }

    private static long? NamedExperiment(JsonElement? metadata)
    {
        if (
            metadata is not { ValueKind: JsonValueKind.Object } members
            || !members.TryGetProperty("experiment_id", out var named)
            || named.ValueKind == JsonValueKind.Null
        )
        {
            return null;
        }

        var digits = named.ValueKind switch
        {
            JsonValueKind.String => named.GetString(),
            JsonValueKind.Number => UnitKey.Digits(named.GetRawText()),
            _ => null,
        };
        return digits is { Length: <= 18 } && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : -1;
    }

    // As many characters as PostgreSQL counts.
    private static string? Left(string? text, int length) =>
        text is null || text.Length <= length ? text : string.Concat(text.EnumerateRunes().Take(length));

    private static string? Text(NpgsqlDataReader row, int index) => row.IsDBNull(index) ? null : row.GetString(index);

    /// <summary>What is read of events only where somebody needs it, because it may be large or is costly.</summary>
    /// <param name="EventsWithTraits">The events whose traits are read.</param>
    /// <param name="EventsWithMetadata">The events whose metadata is read.</param>
    /// <param name="UnitKeys">The keys, besides the identifier, whose values are read.</param>
    /// <param name="AliasesUntil">The last batch whose aliases matter; null where there are none.</param>
    internal sealed record Needs(string[] EventsWithTraits, string[] EventsWithMetadata, string[] UnitKeys, long? AliasesUntil = null)
    {
        /// <summary>What these experiments and their metrics need to count events.</summary>
        public static Needs Of(
            IReadOnlyCollection<ExperimentDefinition> experiments,
            IEnumerable<MetricLink> links,
            long? aliasesUntil = null,
            bool ofExposures = true
        )
        {
            var exposed = ofExposures ? experiments : [];
            return new(
                [.. exposed.Where(experiment => experiment.ReadsTraits).Select(experiment => experiment.ExposureEvent).Distinct()],
                [
                    .. exposed
                        .Where(experiment => experiment.ReadsMetadata)
                        .Select(experiment => experiment.ExposureEvent)
                        .Concat(links.SelectMany(link => link.EventsWithMetadata))
                        .Distinct(),
                ],
                [.. experiments.Select(experiment => experiment.UnitKey).OfType<string>().Distinct()],
                aliasesUntil
            );
        }
    }
}
