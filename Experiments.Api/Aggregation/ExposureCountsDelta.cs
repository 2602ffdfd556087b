using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>Changes to the identity counts, by hour and by outcome.</summary>
internal sealed class ExposureCountsDelta
{
    private const string Count = """
        INSERT INTO exposure_counts AS c (experiment_id, hour, outcome, count)
        SELECT * FROM unnest(@Experiments, @Hours, @Outcomes, @Counts)
        ON CONFLICT (experiment_id, hour, outcome) DO UPDATE SET count = c.count + excluded.count
        """;

    private readonly Dictionary<(long Experiment, DateTime Hour, string Result), long> _counts = [];

    public void Add(ExperimentDefinition experiment, ExposureState exposures, int sign)
    {
        var standing = experiment.Include(exposures);
        Add(experiment, exposures.At(standing), experiment.OutcomeOf(standing), sign);
    }

    public void Add(ExperimentDefinition experiment, DateTime at, string outcome, int sign)
    {
        var index = (experiment.Id, at.AddTicks(-(at.Ticks % TimeSpan.TicksPerHour)), outcome);
        _counts[index] = _counts.GetValueOrDefault(index) + sign;
    }

    /// <summary>Adds the changes to the stored counts.</summary>
    public async Task Post(NpgsqlConnection connection)
    {
        var counts = _counts.Where(count => count.Value != 0).OrderBy(count => count.Key).ToList();
        if (counts.Count > 0)
        {
            await connection.ExecuteAsync(
                Count,
                new
                {
                    Experiments = new Column<long>(counts.Select(count => count.Key.Experiment)),
                    Hours = new Column<DateTime>(counts.Select(count => count.Key.Hour)),
                    Outcomes = new Column<string>(counts.Select(count => count.Key.Result)),
                    Counts = new Column<long>(counts.Select(count => count.Value)),
                }
            );
        }
    }
}
