using Dapper;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// Erases an identity from an environment, with all its aliases: events, exposures and values. What was computed from them is corrected,
/// except for experiments whose results are final: those keep their sums, and say how many identities have been erased since. What it did
/// for a unit that is not an identity, such as its company, stays with that unit.
/// </summary>
/// <param name="database">The database. It is rarely done, so there are no connections kept for it.</param>
/// <param name="store">Where the events are.</param>
/// <param name="late">How long after the end of an experiment late events count.</param>
internal sealed class IdentityErasure(DatabaseServer database, IEventStore store, TimeSpan late)
{
    // From where they are, and neither while they move nor while some that came meanwhile are being taken in.
    private const string IsHere = $"""
        SELECT EXISTS (SELECT FROM event_store WHERE store = @Store AND moving_to IS NULL FOR SHARE)
            AND pg_try_advisory_xact_lock({PostponedEvents.Lock})
        """;

    // Until what is said of identities has been taken in, nobody knows which are the same person.
    private const string IsJoining = """
        SELECT EXISTS (SELECT FROM event_batches WHERE environment_id = @EnvironmentId AND joins)
            OR EXISTS (SELECT FROM event_arrivals WHERE environment_id = @EnvironmentId AND joins)
        """;

    private const string DeleteExposures = """
        DELETE FROM exposures x USING experiments e
        WHERE e.environment_id = @EnvironmentId AND e.unit_key = '' AND x.experiment_id = e.id AND x.identity = ANY (@Identities)
        RETURNING x.experiment_id
        """;

    private const string DeleteValues = """
        DELETE FROM unit_metrics m USING experiments e
        WHERE e.environment_id = @EnvironmentId AND e.unit_key = '' AND m.experiment_id = e.id AND m.identity = ANY (@Identities)
        """;

    private const string DeleteTraits =
        "DELETE FROM identity_traits WHERE environment_id = @EnvironmentId AND identity = ANY (@Identities)";

    private const string DeleteAliases =
        "DELETE FROM identity_aliases WHERE environment_id = @EnvironmentId AND identity = ANY (@Identities)";

    private const string DeletePostponed =
        "DELETE FROM postponed_events WHERE environment_id = @EnvironmentId AND identifier = ANY (@Identifiers)";

    // Evidence begins anew, as after any other recomputation. What is final stays as it is.
    private const string Correct = """
        UPDATE results SET as_of = NULL, evidence = NULL, looked_at = NULL, epoch = epoch + 1 WHERE experiment_id = ANY (@Open);
        INSERT INTO results AS r (experiment_id, erased) SELECT unnest(@Final), 1
        ON CONFLICT (experiment_id) DO UPDATE SET erased = r.erased + 1;
        """;

    // The identifier is what is to be forgotten, so it is not written down.
    private const string Log = """
        INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
        VALUES (@EnvironmentId, @Actor, @RequestId, @Address, 'identity.erased', 'identity', 0,
            jsonb_build_object('events', @Events, 'experiments', @Experiments))
        """;

    /// <summary>Erases the identity, when no replica aggregates the environment.</summary>
    /// <exception cref="InvalidOperationException">A definition cannot be read, so its sums could not be corrected.</exception>
    public async Task<Report> Run(CommandScope scope, string identifier, CancellationToken ct)
    {
        await using var source = AggregationWorker.Source(database, null);
        await using var connection = await source.OpenConnectionAsync(ct);
        for (; ; await Task.Delay(50, ct))
        {
            await using var transaction = await connection.BeginTransactionAsync(ct);
            if (
                await AggregationLock.TakeEnvironment(connection, scope.EnvironmentId)
                && await connection.QuerySingleAsync<bool>(IsHere, new { Store = store.Name })
                && !await connection.QuerySingleAsync<bool>(IsJoining, scope)
            )
            {
                await AggregationLock.Extend(connection);
                var report = await Erase(source, connection, scope, identifier, ct);
                // Whoever waited for it may have gone. It is done all the same, or a large table could never be got through.
                await transaction.CommitAsync(CancellationToken.None);
                return report;
            }
        }
    }

    private async Task<Report> Erase(
        NpgsqlDataSource source,
        NpgsqlConnection connection,
        CommandScope scope,
        string identifier,
        CancellationToken ct
    )
    {
        var definitions = new DefinitionReader(source, connection);
        var (experiments, now) = await definitions.Experiments(
            [scope.EnvironmentId],
            DateTime.UnixEpoch,
            DateTime.MaxValue.AddYears(-1),
            ct,
            all: true
        );
        var open = experiments
            .Where(experiment => experiment.UnitKey is null && !experiment.WasFinal(now, late))
            .ToDictionary(experiment => experiment.Id);
        string[] identifiers =
        [
            .. (
                await connection.QueryAsync<string>(
                    IdentityAliases.OfPerson,
                    new { scope.EnvironmentId, Identity = Domain.Identity.Key(identifier) }
                )
            )
                .Append(identifier)
                .Distinct(),
        ];
        var parameters = new
        {
            scope.EnvironmentId,
            Identifiers = identifiers,
            Identities = identifiers.Select(Domain.Identity.Key).ToArray(),
        };
        await Subtract(connection, definitions, open, parameters.Identities);
        var exposed = (await connection.QueryAsync<long>(DeleteExposures, parameters)).Distinct().ToList();
        await connection.ExecuteAsync(DeleteValues, parameters);
        await connection.ExecuteAsync(DeleteAliases, parameters);
        await connection.ExecuteAsync(DeleteTraits, parameters);
        var postponed = await connection.ExecuteAsync(DeletePostponed, parameters);
        var report = new Report(postponed + await store.Erase(connection, scope.EnvironmentId, identifiers, ct), exposed.Count);
        await connection.ExecuteAsync(
            Correct,
            new { Open = exposed.Where(open.ContainsKey).ToArray(), Final = exposed.Where(id => !open.ContainsKey(id)).ToArray() }
        );
        if (report != new Report(0, 0))
        {
            await connection.ExecuteAsync(
                PositionalSql.Command(
                    Log,
                    new
                    {
                        scope,
                        report.Events,
                        report.Experiments,
                    }
                )
            );
        }

        return report;
    }

    private static async Task Subtract(
        NpgsqlConnection connection,
        DefinitionReader definitions,
        Dictionary<long, ExperimentDefinition> experiments,
        Guid[] identities
    )
    {
        var keys = (from id in experiments.Keys from identity in identities select new ExposureAggregator.Key(id, identity)).ToList();
        var (counts, delta) = (new ExposureCountsDelta(), new MetricSumsDelta());
        foreach (var (key, exposures) in await ExposureAggregator.Read(connection, keys))
        {
            counts.Add(experiments[key.ExperimentId], exposures, -1);
        }

        var units = await UnitMetrics.Read(connection, keys);
        var links = (await definitions.Links([.. experiments.Values])).ToLookup(link => link.Experiment.Id);
        definitions.DemandReadable();
        foreach (var (key, unit) in units)
        {
            new UnitValues(experiments[key.ExperimentId], links[key.ExperimentId]).Post(delta, unit.Values, UnitValues.None);
        }

        await counts.Post(connection);
        await delta.Post(connection);
    }

    /// <summary>The number of events and of exposures to experiments that were erased.</summary>
    internal sealed record Report(int Events, int Experiments);
}
