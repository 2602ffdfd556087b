using Dapper;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Corrects what is stored of an experiment by what was rebuilt, slice by slice: the rows that differ, and then all counts and sums.
/// </summary>
internal sealed class RebuildWriter(NpgsqlConnection connection, ExperimentDefinition experiment, IReadOnlyList<MetricLink> links)
{
    private const int Chunk = 20_000;

    // The approximate size of an event in memory while its identity is processed.
    private const int BytesInMemory = 150;

    private const string Exposures = """
        SELECT identity, assigned_variants, shown_variants, seen_at, first_shown, enrolled_at, paused_at, before_at, levels::text,
            counts_in, draw
        FROM exposures WHERE experiment_id = $1 AND identity BETWEEN $2 AND $3
        """;

    private const string Metrics =
        "SELECT experiment_id, identity, arm, numbers, due_after, events FROM unit_metrics WHERE experiment_id = $1 AND identity BETWEEN $2"
        + " AND $3";

    private const string Clear = """
        DELETE FROM exposure_counts WHERE experiment_id = @Id;
        DELETE FROM metric_sums WHERE link_id = ANY (@links);
        DELETE FROM metric_steps WHERE link_id = ANY (@links);
        UPDATE experiment_metrics SET backfilled = true WHERE id = ANY (@links);
        WITH healed AS (
            DELETE FROM unreadable_definitions WHERE experiment_id = @Id RETURNING experiment_id
        )
        -- So that results are computed again, even final ones.
        UPDATE results SET as_of = NULL, epoch = epoch + 1 WHERE experiment_id IN (SELECT experiment_id FROM healed);
        """;

    /// <summary>Sets results <c>r</c> so that they are computed again, and what looks have found is forgotten.</summary>
    public const string Forgotten = "as_of = NULL, evidence = NULL, looked_at = NULL, epoch = r.epoch + 1";

    private const string Recompute = $"""
        -- So that results are computed again, even final ones.
        INSERT INTO results AS r (experiment_id, epoch) VALUES (@Id, 1)
        ON CONFLICT (experiment_id) DO UPDATE SET {Forgotten}, erased = 0;
        """;

    private readonly MetricSumsDelta _sums = new();

    /// <summary>The counts of exposures, to which those without a unit are added as they are read.</summary>
    public ExposureCountsDelta Counts { get; } = new();

    /// <summary>What has been written so far.</summary>
    public RebuildReport Report { get; private set; } = RebuildReport.Nothing;

    /// <summary>In how many slices so many events fit into a quarter of the memory, one slice at a time: 1 to 256.</summary>
    public static int SlicesFor(long events) =>
        (int)Math.Clamp(events * BytesInMemory / (GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4), 0, 255) + 1;

    /// <summary>The slice of a unit, or of events without one.</summary>
    public static int SliceOf(string? unit, int slices) => unit is null ? 0 : SliceOf(Domain.Identity.Key(unit), slices);

    /// <summary>The slice of an identity.</summary>
    public static int SliceOf(Guid identity, int slices) => identity.ToByteArray(bigEndian: true)[0] * slices / 256;

    /// <summary>Corrects the rows of the units of one slice.</summary>
    /// <param name="collector">What has been collected of them.</param>
    /// <param name="slice">The slice: the first byte of the identity, of 256, times the number of slices, divided by 256.</param>
    /// <param name="slices">How many slices there are.</param>
    /// <param name="ct">Ends it.</param>
    public async Task Write(UnitCollector collector, int slice, int slices, CancellationToken ct)
    {
        RebuiltUnits units;
        // Many units take a long time to compute.
        await using (Heartbeat.Of(connection))
        {
            units = collector.Build();
            units.AddTo(Counts, _sums);
        }

        var range = (First(slice, slices), Last(slice, slices));
        Report += new RebuildReport(units.Count, await CorrectExposures(units, range, ct), await CorrectMetrics(units, range, ct));
    }

    /// <summary>Replaces the counts and the sums, once all slices are written.</summary>
    /// <param name="invalidates">Whether results that were computed before, and what looks at them found, are no longer valid.</param>
    public async Task Finish(bool invalidates)
    {
        await connection.ExecuteAsync(Clear, new { experiment.Id, links = links.Select(link => link.Id).ToArray() });
        await Counts.Post(connection);
        await _sums.Post(connection);
        if (invalidates)
        {
            await connection.ExecuteAsync(Recompute, new { experiment.Id });
        }
    }

    private async Task<long> CorrectExposures(RebuiltUnits units, (Guid First, Guid Last) range, CancellationToken ct)
    {
        var rows = new Reconciliation<ExposureAggregator.Changed>(units, units.Exposure);
        await using (var command = Stored(Exposures, range))
        await using (var row = await command.ExecuteReaderAsync(ct))
        {
            while (await row.ReadAsync(ct))
            {
                var (state, countsIn) = (ExposureAggregator.Shown(row, 1), ExposureAggregator.CountsIn(row, 9));
                var draw = ExposureAggregator.Draw(row, 10);
                rows.Compare(row.GetGuid(0), expected => (expected.State, expected.CountsIn, expected.Draw) == (state, countsIn, draw));
            }
        }

        await Delete("exposures", rows.Surplus);
        return rows.Surplus.Count + await Write(rows.Differing, chunk => ExposureAggregator.Write(connection, chunk));
    }

    private async Task<long> CorrectMetrics(RebuiltUnits units, (Guid First, Guid Last) range, CancellationToken ct)
    {
        var rows = new Reconciliation<UnitMetrics>(units, units.Metrics);
        await using (var command = Stored(Metrics, range))
        await using (var row = await command.ExecuteReaderAsync(ct))
        {
            while (await row.ReadAsync(ct))
            {
                var stored = UnitMetrics.Of(row);
                rows.Compare(stored.Key.Identity, expected => units.AreSame(stored, expected));
            }
        }

        await Delete("unit_metrics", rows.Surplus);
        return rows.Surplus.Count + await Write(rows.Differing, chunk => UnitMetrics.Write(connection, chunk));
    }

    // Returns the number of rows written.
    private static async Task<long> Write<TRow>(IEnumerable<TRow> rows, Func<TRow[], Task> write)
    {
        var written = 0L;
        foreach (var chunk in rows.Chunk(Chunk))
        {
            await write(chunk);
            written += chunk.Length;
        }

        return written;
    }

    private NpgsqlCommand Stored(string sql, (Guid First, Guid Last) range) =>
        new(sql, connection)
        {
            Parameters =
            {
                new NpgsqlParameter<long> { TypedValue = experiment.Id },
                new NpgsqlParameter<Guid> { TypedValue = range.First },
                new NpgsqlParameter<Guid> { TypedValue = range.Last },
            },
        };

    private Task Delete(string table, List<Guid> identities) =>
        identities.Count == 0
            ? Task.CompletedTask
            : connection.ExecuteAsync(
                $"DELETE FROM {table} WHERE experiment_id = @experimentId AND identity = ANY (@identities)",
                new { experimentId = experiment.Id, identities }
            );

    // The identities whose first byte, of 256, falls into this slice.
    private static Guid First(int slice, int slices) => Bound((byte)(((slice * 256) + slices - 1) / slices), 0);

    private static Guid Last(int slice, int slices) => Bound((byte)(((((slice + 1) * 256) + slices - 1) / slices) - 1), 255);

    private static Guid Bound(byte first, byte others)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Fill(others);
        bytes[0] = first;
        return new(bytes, bigEndian: true);
    }
}

/// <summary>The number of identities, and for how many of them the exposures and the unit metrics had to be corrected.</summary>
internal sealed record RebuildReport(long Identities, long Exposures, long Units)
{
    public static readonly RebuildReport Nothing = new(0, 0, 0);

    public static RebuildReport operator +(RebuildReport one, RebuildReport other) =>
        new(one.Identities + other.Identities, one.Exposures + other.Exposures, one.Units + other.Units);
}
