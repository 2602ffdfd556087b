using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>An event as it is stored.</summary>
internal sealed class StoredEvent
{
    /// <summary>
    /// The columns, in the order in which <see cref="Of"/> reads them. No feature and no variant has a longer name; an exposure that names
    /// no experiment that there could be names -1.
    /// </summary>
    public const string Columns = $"""
        {BeforeTraits}, NULL::text, {AfterTraits}
        """;

    /// <summary>The same with the traits of those events that $7 names; they may be large, and few need them.</summary>
    public const string ColumnsWithTraits = $"""
        {BeforeTraits}, CASE WHEN event = ANY ($7) THEN traits::text END, {AfterTraits}
        """;

    private const string BeforeTraits = "batch, environment_id, at, key, event, left(feature_name, 256), identifier, left(value, 1000)";

    private const string AfterTraits = """
        metadata::text,
        CASE WHEN event <> '$flag_exposure' THEN NULL
             WHEN metadata->>'experiment_id' ~ '^[0-9]{1,18}$' THEN (metadata->>'experiment_id')::bigint
             WHEN metadata->>'experiment_id' IS NOT NULL THEN -1 END
        """;

    public required long Batch { get; init; }

    public required long EnvironmentId { get; init; }

    public required DateTime At { get; init; }

    public required long Key { get; init; }

    public required string Event { get; init; }

    public required string? FeatureName { get; init; }

    public required string? Identifier { get; init; }

    public required string? Value { get; init; }

    public required string? Traits { get; init; }

    public required string? Metadata { get; init; }

    /// <summary>The experiment that an exposure names; -1 when it names none that there could be, null when it names none.</summary>
    public required long? ExperimentId { get; init; }

    /// <summary>Reads what a statement selects.</summary>
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

    /// <summary>Hands over what a statement selects, one after the other, without keeping it.</summary>
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
        // The same few names again and again.
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
