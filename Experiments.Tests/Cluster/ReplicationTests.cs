using System.Globalization;
using System.Text.RegularExpressions;
using Experiments.Api.ClickHouse;
using Experiments.Api.Domain;
using Experiments.Api.Platform.Data;
using Experiments.Tests.Warehouse;

namespace Experiments.Tests.Cluster;

/// <summary>
/// Our tables on two replicas, one of which is killed, while batches come again and again, cut differently. What an old release does not
/// know is left out of them: types of columns, codecs, and what erases.
/// </summary>
public partial class ReplicationTests(ReplicatedClickHouse cluster) : IClassFixture<ReplicatedClickHouse>
{
    private const string Quorum = "insert_quorum=2&insert_quorum_timeout=5000";
    private const int Count = 20_000;
    private const int Times = 3;

    private readonly SortedSet<int> _errors = [];
    private long _batch;
    private int _refused;

    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task Events_count_once_on_each_replica_however_often_they_come_and_though_one_is_killed()
    {
        Assert.SkipUnless(ReplicatedClickHouse.IsInstalled, "./dev cluster installs what this needs.");
        for (var replica = 0; replica < 2; replica++)
        {
            var address = ShardAddress.Of("Host=localhost").Single();
            foreach (var statement in ClickHouseSchema.Replicated(address, "main", $"replica{replica}").Statements)
            {
                var made = ("", -1);
                // A session of ZooKeeper may take a moment.
                await Given.Eventually(async () => (made = await cluster.Ask(replica, InOldWords(statement))).Item2 != 999);
                made.ShouldBe(("", 0));
            }
        }

        var events = Enumerable.Range(0, Count).Select(n => new Sent(n)).ToArray();
        var random = new Random(17);
        for (var time = 0; time < Times; time++)
        {
            random.Shuffle(events);
            var batches = events.Chunk(400 + (250 * time)).ToList();
            var outage = Task.CompletedTask;
            try
            {
                for (var next = 0; next < batches.Count; next++)
                {
                    if (time == 1 && next == 5)
                    {
                        outage = Outage(TimeSpan.FromSeconds(3));
                    }

                    await Send(batches[next], next % 2);
                }
            }
            finally
            {
                await outage;
            }
        }

        // What was refused while one was away, and nothing of what was acknowledged is missing.
        _refused.ShouldBeGreaterThan(0);
        _errors.ShouldBeSubsetOf([.. ClickHouseShard.ReplicaErrors]);
        string? first = null;
        for (var replica = 0; replica < 2; replica++)
        {
            (await cluster.Ask(replica, "SYSTEM SYNC REPLICA events")).Error.ShouldBe(0);
            var (counted, _) = await cluster.Ask(
                replica,
                "SELECT count(), uniqExact(key), sum(key), uniqExact(identity) FROM events FINAL"
            );
            counted.Trim().ShouldBe(string.Create(CultureInfo.InvariantCulture, $"{Count}\t{Count}\t{(long)Count * (Count - 1) / 2}\t500"));
            // Of several copies, that of the earliest batch counts.
            var kept = (await Rows(replica, $"SELECT key, {ClickHouseSchema.LastBatch} - version FROM events FINAL"))
                .Select(row => row.Split('\t'))
                .ToDictionary(
                    row => int.Parse(row[0], CultureInfo.InvariantCulture),
                    row => long.Parse(row[1], CultureInfo.InvariantCulture)
                );
            events.Where(one => kept[one.Number] > one.FirstStored).ShouldBeEmpty();
            var digits = (await cluster.Ask(replica, "SELECT sum(cityHash64(key, version, identity, at)) FROM events FINAL")).Text;
            digits.ShouldBe(first ??= digits);
        }
    }

    // The engine in this process makes such tables and does not write to them.
    [Fact(Explicit = true)]
    [Trait("speed", "slow")]
    public async Task A_current_release_makes_our_tables_as_replicas_and_one_that_cannot_write_is_away_rather_than_unwilling()
    {
        Assert.SkipUnless(ReplicatedClickHouse.IsInstalled, "./dev cluster installs what this needs.");
        await using var engine = new ClickHouseWarehouse { Configuration = await cluster.Configuration() };
        await engine.InitializeAsync();
        using var server = new ClickHouseShards($"Host=127.0.0.1:{engine.Port};Username={engine.Username};Database=replicated", "main");

        (
            await Should.ThrowAsync<EventStoreUnavailableException>(() =>
                server.Execute("INSERT INTO arrivals (batch) SELECT 1", null, CancellationToken.None)
            )
        ).IsRefusal.ShouldBeFalse();

        using var http = new HttpClient();
        var made = await http.GetStringAsync(
            new Uri(
                $"http://127.0.0.1:{engine.Port}/?query="
                    + Uri.EscapeDataString("SELECT name, substring(engine_full, 1, position(engine_full, ')')) FROM system.tables")
                    + Uri.EscapeDataString(" WHERE database = 'replicated' ORDER BY name FORMAT TSV")
            )
        );
        string Path(string table) => $"\\'/experiments/main/replicated/1/{table}\\', \\'127.0.0.1:{engine.Port}\\'";
        made.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .ShouldBe([
                $"arrivals\tReplicatedMergeTree({Path("arrivals")})",
                $"events\tReplicatedReplacingMergeTree({Path("events")}, version, is_erased)",
            ]);
    }

    // As the service and its clients do: another replica, and then again a little later.
    private async Task Send(Sent[] batch, int replica)
    {
        var id = ++_batch;
        for (var attempt = 0; ; attempt++)
        {
            attempt.ShouldBeLessThan(200);
            try
            {
                var rows = string.Join('\n', batch.Select(one => one.Row(id)));
                var (_, error) = await cluster.Ask(
                    (replica + attempt) % 2,
                    $"INSERT INTO events ({Sent.Columns}) FORMAT TabSeparated\n{rows}",
                    Quorum
                );
                if (error == 0)
                {
                    break;
                }

                _errors.Add(error);
            }
            catch (HttpRequestException)
            {
                // It is away, or went away before it answered.
            }

            _refused++;
            await Task.Delay(100);
        }

        foreach (var one in batch)
        {
            one.FirstStored = Math.Min(one.FirstStored, id);
        }
    }

    private async Task Outage(TimeSpan length)
    {
        await cluster.Kill(1);
        await Task.Delay(length);
        await cluster.Begin(1);
    }

    private async Task<string[]> Rows(int replica, string sql) =>
        (await cluster.Ask(replica, sql)).Text.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static string InOldWords(string statement)
    {
        var old = Codec().Replace(statement, "");
        old = old.Replace("DateTime64(3, 'UTC')", "Int64", StringComparison.Ordinal)
            .Replace("toYYYYMM(at)", "toYYYYMM(toDateTime(intDiv(at, 1000)))", StringComparison.Ordinal)
            .Replace("LowCardinality(Nullable(String))", "Nullable(String)", StringComparison.Ordinal)
            .Replace("LowCardinality(String)", "String", StringComparison.Ordinal)
            .Replace("version, is_erased)", "version)", StringComparison.Ordinal);
        return Comment().Replace(Fsync().Replace(old, ""), "");
    }

    [GeneratedRegex(@" CODEC\((?:[^()]|\(\d+\))*\)")]
    private static partial Regex Codec();

    [GeneratedRegex(@",? *(SETTINGS )?fsync_after_insert = 1, fsync_part_directory = 1")]
    private static partial Regex Fsync();

    [GeneratedRegex("COMMENT '[^']*'")]
    private static partial Regex Comment();

    private sealed record Sent(int Number)
    {
        public const string Columns = "environment_id, event, identity, key, content_at, at, skew, version, identifier";

        private static readonly long Start = new DateTimeOffset(2026, 10, 31, 22, 0, 0, TimeSpan.Zero).ToUnixTimeMilliseconds();

        /// <summary>The first batch that was acknowledged with it.</summary>
        public long FirstStored { get; set; } = long.MaxValue;

        // Across the end of a month.
        public string Row(long batch) =>
            string.Create(
                CultureInfo.InvariantCulture,
                $"1\te{Number % 3}\t{Identity.Key($"u{Number % 500}")}\t{Number}\t{Start + (Number * 500L)}\t{Start + (Number * 500L)}\t0\t"
                    + $"{ClickHouseSchema.LastBatch - batch}\tu{Number % 500}"
            );
    }
}
