using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>An event as it is stored.</summary>
internal sealed class StoredEvent
{
    /// <summary>
    /// The columns, in the order in which <see cref="Of"/> reads them. Feature and variant names are never longer than these limits. The
    /// experiment id is -1 if an exposure names an experiment that cannot exist.
    /// </summary>
    public const string Columns = $"""
        {BeforeTraits}, NULL::text, {AfterTraits}
        """;

    /// <summary>The same, plus the traits of the events named in $7. Traits may be large, and few experiments need them.</summary>
    public const string ColumnsWithTraits = $"""
        {BeforeTraits}, CASE WHEN event = ANY ($7) THEN traits::text END, {AfterTraits}
        """;

    private const string BeforeTraits =
        "batch, environment_id, happened_at, key, event, left(feature_name, 256), identifier, left(value, 1000)";

    private const string AfterTraits = """
        metadata::text,
        CASE WHEN event <> '$flag_exposure' THEN NULL
             WHEN metadata->>'experiment_id' ~ '^[0-9]{1,18}$' THEN (metadata->>'experiment_id')::bigint
             WHEN metadata->>'experiment_id' IS NOT NULL THEN -1 END
        """;

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

    /// <summary>Reads the result of a statement.</summary>
    public static async Task<List<StoredEvent>> Read(
        NpgsqlConnection connection,
        string sql,
        params IReadOnlyList<NpgsqlParameter> parameters
    )
    {
        var events = new List<StoredEvent>();
        await Each(connection, sql, events.Add, CancellationToken.None, parameters);
        return events;
    }

    /// <summary>Streams the result of a statement, one event at a time.</summary>
    public static async Task Each(
        NpgsqlConnection connection,
        string sql,
        Action<StoredEvent> take,
        CancellationToken ct,
        params IReadOnlyList<NpgsqlParameter> parameters
    )
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.AddRange(parameters.ToArray());
        await using var row = await command.ExecuteReaderAsync(ct);
        // The same few names occur again and again.
        var names = new Dictionary<string, string>();
        while (await row.ReadAsync(ct))
        {
            take(Of(row, names));
        }
    }

    private static StoredEvent Of(NpgsqlDataReader row, Dictionary<string, string> names)
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
            Metadata = Text(row, 9),
            ExperimentId = row.IsDBNull(10) ? null : row.GetInt64(10),
        };
    }

    private static string? Text(NpgsqlDataReader row, int index) => row.IsDBNull(index) ? null : row.GetString(index);
}
