using System.Collections.Concurrent;
using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Platform.Data;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Experiments.Tests.Faults;

/// <summary>What the clients were told.</summary>
internal sealed class History
{
    /// <summary>The events that were acknowledged.</summary>
    public ConcurrentBag<int> Events { get; } = [];

    /// <summary>How many transitions of each experiment were acknowledged.</summary>
    public ConcurrentDictionary<long, int> Transitions { get; } = new();

    /// <summary>Compares it with what the database holds.</summary>
    public async Task Check(string database, long measured)
    {
        await using var connection = new NpgsqlConnection($"{database};Pooling=false");
        await connection.OpenAsync();

        // Every event once.
        var stored = (await connection.QueryAsync<string>("SELECT identifier FROM events")).ToList();
        stored.Count.ShouldBe(Events.Count);
        stored.ToHashSet().SetEquals(Events.Select(n => $"u{n}")).ShouldBeTrue("other events are stored than were acknowledged");

        // Every transition once, in an order that there can be, from a start that never moves.
        foreach (var (experiment, count) in Transitions)
        {
            var actions = await connection.QueryAsync<string>(
                """
                SELECT action FROM audit_log WHERE object_type = 'experiment' AND object_id = @experiment AND action <> 'experiment.created'
                ORDER BY id
                """,
                new { experiment }
            );
            actions.ShouldBe(Enumerable.Range(0, count).Select(turn => turn % 2 == 0 ? "experiment.started" : "experiment.paused"));
            (
                await connection.QuerySingleAsync<bool>(
                    """
                    SELECT e.started_at = lower(e.runs)
                        AND count(*) = 1 AND bool_and((l.after->>'started_at')::timestamptz = date_trunc('milliseconds', e.started_at)
                            OR (l.after->>'started_at')::timestamptz = e.started_at)
                    FROM experiments e JOIN (
                        SELECT DISTINCT ON (after->>'started_at') * FROM audit_log
                        WHERE object_type = 'experiment' AND object_id = @experiment AND action = 'experiment.started'
                    ) l ON true
                    WHERE e.id = @experiment GROUP BY e.id
                    """,
                    new { experiment }
                )
            ).ShouldBeTrue("started_at has moved");
        }

        // Never two experiments on a feature.
        (
            await connection.QuerySingleAsync<long>("SELECT max(n) FROM (SELECT count(*) AS n FROM experiments GROUP BY feature_id) counts")
        ).ShouldBe(1);

        // Counted once, incrementally and by going through all events again.
        await Given.Eventually(
            async () => await connection.QuerySingleAsync<long>("SELECT count(*) FROM event_batches") == 0,
            TimeSpan.FromSeconds(30)
        );
        (await connection.QuerySingleAsync<long>("SELECT sum(count)::bigint FROM event_names")).ShouldBe(stored.Count);
        await using var source = AggregationWorker.Source(new DatabaseServer(database, null), null);
        RebuildReport? report = null;
        await Given.Eventually(async () =>
            (
                report = await new RebuildFromEvents(
                    new PostgresEventStore(source, NullLogger<PostgresEventStore>.Instance),
                    source,
                    TimeSpan.FromHours(24)
                ).Run(measured, CancellationToken.None)
            )
                is not null
        );
        report.ShouldBe(new(stored.Count, 0, 0));
    }
}
