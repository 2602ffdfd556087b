using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Api.Aggregation;

/// <summary>
/// The stored aliases of identities. Whoever writes them has the aggregation lock of the environment, so that they change for nobody
/// who counts.
/// </summary>
internal sealed class IdentityAliases(NpgsqlConnection connection)
{
    /// <summary>The identifiers of the person that @identity is, or none where it was never identified.</summary>
    public const string OfPerson = """
        SELECT a.identifier FROM identity_aliases a
        WHERE a.environment_id = @EnvironmentId AND a.known_as = (
            SELECT o.known_as FROM identity_aliases o WHERE o.environment_id = @EnvironmentId AND o.identity = @Identity)
        """;

    private const string Known = """
        SELECT a.environment_id AS environment, a.identifier, k.identifier AS known_as, a.batch
        FROM unnest(@Environments, @Identities) AS o(environment_id, identity)
        JOIN identity_aliases a USING (environment_id, identity)
        JOIN identity_aliases k ON k.environment_id = a.environment_id AND k.identity = a.known_as
        """;

    // In the place of the batch.
    private const string Counts = """
        SELECT a.environment_id AS environment, a.identifier, a.identifier AS known_as, (
            SELECT count(*) FROM identity_aliases o
            WHERE o.environment_id = a.environment_id AND o.known_as = a.identity AND o.identity <> o.known_as) AS batch
        FROM unnest(@Environments, @Identities) AS n(environment_id, identity)
        JOIN identity_aliases a USING (environment_id, identity)
        """;

    private const string Insert = """
        INSERT INTO identity_aliases (environment_id, identity, identifier, known_as, batch)
        SELECT * FROM unnest(@Environments, @Identities, @Identifiers, @KnownAs, @Batches)
        """;

    private const string OfThese = """
        SELECT a.environment_id AS environment, a.identifier, k.identifier AS known_as, a.batch
        FROM unnest(@Environments, @Identities) AS o(environment_id, known_as)
        JOIN identity_aliases a USING (environment_id, known_as)
        JOIN identity_aliases k ON k.environment_id = a.environment_id AND k.identity = a.known_as
        WHERE a.identity <> a.known_as
        """;

    /// <summary>Whether one of these environments has any alias.</summary>
    public Task<bool> Exist(long[] environments) =>
        connection.QuerySingleAsync<bool>(
            "SELECT EXISTS (SELECT FROM identity_aliases WHERE environment_id = ANY (@environments) AND identity <> known_as)",
            new { environments }
        );

    /// <summary>Takes in what events say, and returns the aliases that are new.</summary>
    public async Task<IReadOnlyList<AliasGraph.Entry>> Take(IReadOnlyList<AliasGraph.Statement> said)
    {
        var named = said.SelectMany(one => new[] { (one.Environment, one.Identifier), (one.Environment, one.Alias ?? "") });
        var known = await Read(Known, named);
        var counts = await Read(Counts, known.Select(one => (one.Environment, one.KnownAs)));
        var graph = new AliasGraph(
            known.ToDictionary(one => (one.Environment, one.Identifier), one => one.KnownAs),
            counts.ToDictionary(one => (one.Environment, one.Identifier), one => (int)one.Batch)
        );
        foreach (var statement in said)
        {
            graph.Take(statement);
        }

        if (graph.New.Count > 0)
        {
            await connection.ExecuteAsync(
                Insert,
                new
                {
                    Environments = new Column<long>(graph.New.Select(one => one.Environment)),
                    Identities = new Column<Guid>(graph.New.Select(one => Identity.Key(one.Identifier))),
                    Identifiers = new Column<string>(graph.New.Select(one => one.Identifier)),
                    KnownAs = new Column<Guid>(graph.New.Select(one => Identity.Key(one.KnownAs))),
                    Batches = new Column<long>(graph.New.Select(one => one.Batch)),
                }
            );
        }

        return [.. graph.New.Where(one => one.IsAlias)];
    }

    /// <summary>The aliases of known identities.</summary>
    public Task<IReadOnlyList<AliasGraph.Entry>> Of(IEnumerable<(long Environment, string Identifier)> known) => Read(OfThese, known);

    /// <summary>The aliases of an environment that were said in this batch or before.</summary>
    /// <param name="environment">The environment.</param>
    /// <param name="until">The batch.</param>
    /// <param name="first">The first of those that are read, by the two bytes in the middle of the identity of the alias.</param>
    /// <param name="last">The last one.</param>
    public async Task<IReadOnlyList<AliasGraph.Entry>> All(long environment, long until, int first = 0, int last = ushort.MaxValue) =>
        (
            await connection.QueryAsync<AliasGraph.Entry>(
                """
                SELECT a.environment_id AS environment, a.identifier, k.identifier AS known_as, a.batch
                FROM identity_aliases a
                JOIN identity_aliases k ON k.environment_id = a.environment_id AND k.identity = a.known_as
                WHERE a.environment_id = @environment AND a.identity <> a.known_as AND a.batch <= @until
                    AND get_byte(uuid_send(a.identity), 8) * 256 + get_byte(uuid_send(a.identity), 9) BETWEEN @first AND @last
                """,
                new
                {
                    environment,
                    until,
                    first,
                    last,
                }
            )
        ).AsList();

    private async Task<IReadOnlyList<AliasGraph.Entry>> Read(string sql, IEnumerable<(long Environment, string Identifier)> identities)
    {
        var asked = identities.Where(one => one.Identifier != "").Distinct().ToList();
        return asked.Count == 0
            ? []
            : (
                await connection.QueryAsync<AliasGraph.Entry>(
                    sql,
                    new
                    {
                        Environments = new Column<long>(asked.Select(one => one.Environment)),
                        Identities = new Column<Guid>(asked.Select(one => Identity.Key(one.Identifier))),
                    }
                )
            ).AsList();
    }
}
