using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Dapper;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Startup;
using Npgsql;

namespace Experiments.Api.Evaluation;

/// <summary>
/// Keeps the traits that an environment allows by name, as SDKs send them. They are written in batches behind the response, and are best
/// effort: those that come faster than they can be written, or while the database is away, are not kept.
/// </summary>
internal sealed class KeptTraits(NpgsqlDataSource source, Readiness readiness, ILogger<KeptTraits> logger) : BackgroundService
{
    /// <summary>How many traits an environment may keep.</summary>
    public const int Most = 20;

    /// <summary>Characters that the key of a kept trait may have.</summary>
    public const int LongestKey = 200;

    /// <summary>How long after it was sent a trait is written, at least.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>How long writing a batch may take.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    private const int LongestValue = 2000;
    private const decimal MostNumber = 1e15m;
    private const int MostWaiting = 10_000;
    private const int Batch = 1000;

    // No environment may fill the queue for all others.
    private const int MostOfOne = MostWaiting / 2;

    // Numbers are added to those that are there, once all others are set. Null takes a trait away.
    private const string Sql = """
        WITH given AS MATERIALIZED (
            -- As the environment is now: replicas may have known another list.
            SELECT g.*, e.kept_traits
            FROM unnest(@Environments, @Identities, @Identifiers, @Given, @Added)
                AS g(environment_id, identity, identifier, given, added)
            JOIN environments e ON e.id = g.environment_id AND e.deleted_at IS NULL
            FOR SHARE OF e
        ), known AS MATERIALIZED (
            SELECT t.* FROM identity_traits t JOIN given g USING (environment_id, identity)
            ORDER BY t.environment_id, t.identity FOR UPDATE OF t
        )
        INSERT INTO identity_traits AS t (environment_id, identity, identifier, traits)
        SELECT g.environment_id, g.identity, g.identifier, (
            SELECT COALESCE(jsonb_object_agg(m.key, m.value), '{}')
            FROM jsonb_each(jsonb_strip_nulls(o.own || COALESCE((
                SELECT jsonb_object_agg(a.key, a.value::text::numeric
                    + CASE WHEN jsonb_typeof(o.own -> a.key) = 'number' THEN (o.own ->> a.key)::numeric ELSE 0 END)
                FROM jsonb_each(g.added::jsonb) a), '{}'))) m
            WHERE m.key = ANY (g.kept_traits))
        FROM given g
        LEFT JOIN known k ON k.environment_id = g.environment_id AND k.identity = g.identity
        CROSS JOIN LATERAL (SELECT COALESCE(k.traits, '{}') || g.given::jsonb AS own) o
        ON CONFLICT (environment_id, identity) DO UPDATE SET traits = excluded.traits, updated_at = clock_timestamp()
        """;

    private readonly Channel<Sent> _waiting = Channel.CreateBounded<Sent>(MostWaiting);
    private readonly System.Collections.Concurrent.ConcurrentDictionary<long, int> _ofEach = new();

    public static bool IsKey(string? key) => key is { Length: > 0 and <= LongestKey } && !key.Contains('\0', StringComparison.Ordinal);

    /// <summary>Takes a trait to be kept, if the environment keeps it. Never waits.</summary>
    /// <param name="environment">What is known of the environment.</param>
    /// <param name="identifier">Whose trait it is.</param>
    /// <param name="key">Its key.</param>
    /// <param name="value">A string, a number or a boolean; null takes it away.</param>
    /// <param name="isAdded">Whether the value is a number that is added.</param>
    public void Offer(Snapshot environment, string? identifier, string? key, JsonElement? value, bool isAdded = false)
    {
        if (
            key is null
            || !environment.KeptTraits.Contains(key)
            || identifier is null or ""
            || Identity.Fault(identifier) is not null
            || Text(value, isAdded) is not { } text
        )
        {
            return;
        }

        var isMany = _ofEach.AddOrUpdate(environment.EnvironmentId, 1, (_, count) => count + 1) > MostOfOne;
        if (isMany || !_waiting.Writer.TryWrite(new(environment.EnvironmentId, identifier, key, text, isAdded)))
        {
            _ofEach.AddOrUpdate(environment.EnvironmentId, 0, (_, count) => count - 1);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (await PeriodicJob.Wait(Pause, stoppingToken))
        {
            while (readiness.HasSchema && Take() is { Count: > 0 } batch)
            {
                await Keep(batch, stoppingToken);
            }
        }
    }

    // What the database refuses of one environment is no reason to drop what others sent.
    private async Task Keep(List<Sent> batch, CancellationToken ct)
    {
        try
        {
            await Write(batch, ct);
        }
        catch (PostgresException exception)
            when (exception.SqlState.StartsWith("22", StringComparison.Ordinal)
                && batch.Select(sent => sent.Environment).Distinct().Count() > 1
            )
        {
            foreach (var own in batch.GroupBy(sent => sent.Environment))
            {
                await Keep([.. own], ct);
            }
        }
        catch (Exception exception) when (!ct.IsCancellationRequested)
        {
            logger.TraitsNotKept(batch.Count, exception.Message);
        }
    }

    private List<Sent> Take()
    {
        var batch = new List<Sent>();
        while (batch.Count < Batch && _waiting.Reader.TryRead(out var sent))
        {
            batch.Add(sent);
            _ofEach.AddOrUpdate(sent.Environment, 0, (_, count) => count - 1);
        }

        return batch;
    }

    private async Task Write(List<Sent> batch, CancellationToken ct)
    {
        // In one order for all replicas, so that they do not wait for each other in a circle.
        var rows = batch
            .GroupBy(sent => (sent.Environment, sent.Identifier))
            .Select(own => (own.Key, Identity: Identity.Key(own.Key.Identifier), Given: Given(own), Added: Added(own)))
            .OrderBy(row => (row.Key.Environment, row.Identity))
            .ToList();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(Limit);
        await using var connection = await source.OpenConnectionAsync(limit.Token);
        await connection.ExecuteAsync(
            new CommandDefinition(
                Sql,
                new
                {
                    Environments = new Column<long>(rows.Select(row => row.Key.Environment)),
                    Identities = new Column<Guid>(rows.Select(row => row.Identity)),
                    Identifiers = new Column<string>(rows.Select(row => row.Key.Identifier)),
                    Given = new Column<string>(rows.Select(row => row.Given)),
                    Added = new Column<string>(rows.Select(row => row.Added)),
                },
                cancellationToken: limit.Token
            )
        );
    }

    private static string Given(IEnumerable<Sent> own) =>
        Object(own.Where(sent => !sent.IsAdded).GroupBy(sent => sent.Key).Select(values => (values.Key, values.Last().Value)));

    private static string Added(IEnumerable<Sent> own) =>
        Object(
            own.Where(sent => sent.IsAdded)
                .GroupBy(sent => sent.Key)
                .Select(values =>
                    (
                        values.Key,
                        values
                            .Sum(sent => decimal.Parse(sent.Value, NumberStyles.Float, CultureInfo.InvariantCulture))
                            .ToString(CultureInfo.InvariantCulture)
                    )
                )
        );

    private static string Object(IEnumerable<(string Key, string Value)> members) =>
        "{" + string.Join(',', members.Select(member => $"{JsonSerializer.Serialize(member.Key)}:{member.Value}")) + "}";

    // As JSON; null for what cannot be kept.
    private static string? Text(JsonElement? value, bool isAdded) =>
        value switch
        {
            null or { ValueKind: JsonValueKind.Null } => isAdded ? null : "null",
            { ValueKind: JsonValueKind.Number } number => number.TryGetDecimal(out var size) && Math.Abs(size) < MostNumber
                // As it is read: of a number with thousands of digits the database would keep them all.
                ? size.ToString(CultureInfo.InvariantCulture)
                : null,
            { ValueKind: JsonValueKind.True or JsonValueKind.False } flag when !isAdded => flag.GetRawText(),
            { ValueKind: JsonValueKind.String } text when !isAdded => IsText(text) ? text.GetRawText() : null,
            _ => null,
        };

    private static bool IsText(JsonElement value)
    {
        try
        {
            return value.GetString() is { Length: <= LongestValue } text && !text.Contains('\0', StringComparison.Ordinal);
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair.
            return false;
        }
    }

    private sealed record Sent(long Environment, string Identifier, string Key, string Value, bool IsAdded);
}
