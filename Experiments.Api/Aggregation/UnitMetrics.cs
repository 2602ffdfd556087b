using Dapper;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>The unit metrics of one identity in one experiment.</summary>
/// <param name="Key">The identity and the experiment.</param>
/// <param name="Arm">The index of the variant in which it counts, or null.</param>
/// <param name="Numbers">The metric values; see <see cref="MetricDefinitions.MetricLayout"/>. Shorter if metrics were attached later; empty
/// while all values are zero.</param>
/// <param name="DueAfter">After how much running time, in ticks, the values may change by the passing of time alone, or null.</param>
/// <param name="Events">The events from which they are computed, as packed by <see cref="UnitEventHistory"/>.</param>
internal sealed record UnitMetrics(ExposureAggregator.Key Key, short? Arm, double[] Numbers, long? DueAfter, byte[] Events)
{
    /// <summary>How many are read and written at once. Each has all its events, so more of them might not fit into a message.</summary>
    public const int AtOnce = 20_000;

    private const string Select = """
        SELECT m.experiment_id, m.identity, m.arm, m.numbers, m.due_after, m.events
        FROM unnest($1, $2) AS k(experiment_id, identity)
        JOIN unit_metrics m USING (experiment_id, identity)
        """;

    private const string Delete = """
        DELETE FROM unit_metrics m USING unnest($1, $2) AS k(experiment_id, identity)
        WHERE m.experiment_id = k.experiment_id AND m.identity = k.identity
        RETURNING m.experiment_id, m.identity, m.arm, m.numbers, m.due_after, m.events
        """;

    private const string Upsert = """
        INSERT INTO unit_metrics (experiment_id, identity, arm, numbers, due_after, events)
        SELECT experiment_id, identity, arm, (@Numbers::float8[])[1 + until - count : until], due_after, events
        FROM unnest(@Experiments, @Identities, @Arms, @Counts, @Until, @DueAfter, @Events)
            AS g(experiment_id, identity, arm, count, until, due_after, events)
        ON CONFLICT (experiment_id, identity) DO UPDATE SET arm = excluded.arm, numbers = excluded.numbers, due_after = excluded.due_after,
            events = excluded.events
        """;

    /// <summary>The stored unit metrics of these identities. Identities without a row are absent.</summary>
    public static Task<Dictionary<ExposureAggregator.Key, UnitMetrics>> Read(
        NpgsqlConnection connection,
        IReadOnlyCollection<ExposureAggregator.Key> keys
    ) => Read(connection, Select, keys);

    /// <summary>Deletes the unit metrics of these identities, and returns them.</summary>
    public static Task<Dictionary<ExposureAggregator.Key, UnitMetrics>> Remove(
        NpgsqlConnection connection,
        IReadOnlyCollection<ExposureAggregator.Key> keys
    ) => Read(connection, Delete, keys);

    private static async Task<Dictionary<ExposureAggregator.Key, UnitMetrics>> Read(
        NpgsqlConnection connection,
        string sql,
        IReadOnlyCollection<ExposureAggregator.Key> keys
    )
    {
        var found = new Dictionary<ExposureAggregator.Key, UnitMetrics>();
        if (keys.Count == 0)
        {
            return found;
        }

        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. keys.Select(key => key.ExperimentId)] });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. keys.Select(key => key.Identity)] });
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var unit = Of(reader);
            found.Add(unit.Key, unit);
        }

        return found;
    }

    /// <summary>The computed part.</summary>
    public UnitValues.Result Values => new(Arm, Numbers, DueAfter);

    public static UnitMetrics Of(ExposureAggregator.Key key, UnitValues.Result values, byte[] events) =>
        new(key, values.Arm, values.Numbers, values.DueAfter, events);

    /// <summary>From the columns experiment_id, identity, arm, numbers, due_after and events.</summary>
    public static UnitMetrics Of(NpgsqlDataReader row) =>
        new(
            new(row.GetInt64(0), row.GetGuid(1)),
            row.IsDBNull(2) ? null : row.GetInt16(2),
            row.GetFieldValue<double[]>(3),
            row.IsDBNull(4) ? null : row.GetInt64(4),
            row.GetFieldValue<byte[]>(5)
        );

    public static async Task Write(NpgsqlConnection connection, IReadOnlyCollection<UnitMetrics> rows)
    {
        if (rows.Count > 0)
        {
            // One after the other, because PostgreSQL requires the inner arrays of an array to have equal length.
            var (counts, until) = (rows.Select(row => row.Numbers.Length).ToArray(), new int[rows.Count]);
            for (var row = 0; row < until.Length; row++)
            {
                until[row] = counts[row] + (row > 0 ? until[row - 1] : 0);
            }

            await connection.ExecuteAsync(
                Upsert,
                new
                {
                    Experiments = new Column<long>(rows.Select(row => row.Key.ExperimentId)),
                    Identities = new Column<Guid>(rows.Select(row => row.Key.Identity)),
                    Arms = new Column<short?>(rows.Select(row => row.Arm)),
                    Numbers = new Column<double>(rows.SelectMany(row => row.Numbers)),
                    Counts = new Column<int>(counts),
                    Until = new Column<int>(until),
                    DueAfter = new Column<long?>(rows.Select(row => row.DueAfter)),
                    Events = new Column<byte[]>(rows.Select(row => row.Events)),
                }
            );
        }
    }
}
