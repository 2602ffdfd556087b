using Dapper;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Handles experiments and metrics whose stored definition this release cannot read. They are skipped while everything else is
/// aggregated, recorded so that their results can show it, logged once, and counted.
/// </summary>
internal sealed class UnreadableDefinitions
{
    // When a metric becomes readable again, its events are backfilled. An experiment needs a rebuild from events.
    private const string Record = """
        WITH recorded AS (
            INSERT INTO unreadable_definitions (experiment_id, link_id, error)
            SELECT * FROM unnest(@Experiments, @Links, @Errors) ON CONFLICT DO NOTHING
            RETURNING experiment_id, link_id, error
        ), restarted AS (
            UPDATE experiment_metrics SET backfilled = false, backfilled_to = NULL, backfilled_key = NULL
            WHERE experiment_id IN (SELECT experiment_id FROM recorded WHERE link_id IS NOT NULL)
        )
        SELECT * FROM recorded
        """;

    private readonly ILogger<UnreadableDefinitions> _logger;
    private readonly Instruments _instruments;

    public UnreadableDefinitions(ILogger<UnreadableDefinitions> logger, Instruments instruments) =>
        (_logger, _instruments) = (logger, instruments);

    /// <summary>Records the skipped definitions in the transaction of the batch.</summary>
    public async Task Save(NpgsqlConnection connection, IReadOnlyCollection<UnreadableDefinition> found)
    {
        if (found.Count == 0)
        {
            return;
        }

        _instruments.UnreadableDefinitions.Add(found.Count);
        var recorded = await connection.QueryAsync<UnreadableDefinition>(
            Record,
            new
            {
                Experiments = new Column<long>(found.Select(one => one.ExperimentId)),
                Links = new Column<long?>(found.Select(one => one.LinkId)),
                Errors = new Column<string>(found.Select(one => one.Error)),
            }
        );
        foreach (var one in recorded)
        {
            if (one.LinkId is { } link)
            {
                _logger.MetricSkipped(link, one.ExperimentId, one.Error);
            }
            else
            {
                _logger.ExperimentSkipped(one.ExperimentId, one.Error);
            }
        }
    }
}

/// <summary>An unreadable definition: of a metric of an experiment or, without a link id, of the experiment itself.</summary>
internal sealed record UnreadableDefinition(long ExperimentId, long? LinkId, string Error)
{
    /// <summary>Reads a definition. If that fails for any reason, adds it to <paramref name="found"/> and returns null.</summary>
    public static T? TryRead<T>(long experimentId, long? linkId, List<UnreadableDefinition> found, Func<T> read)
        where T : class
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            found.Add(new(experimentId, linkId, exception.Message));
            return null;
        }
    }
}
