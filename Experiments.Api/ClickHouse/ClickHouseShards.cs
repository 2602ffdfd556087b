using System.Buffers.Binary;
using ClickHouse.Driver.ADO.Readers;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// The ClickHouse of the service: one or several shards, each with all events of its identities. What concerns identities is asked of all
/// of them at once; together, they answer as one would.
/// </summary>
internal sealed class ClickHouseShards : IDisposable
{
    private readonly ClickHouseShard[] _shards;

    /// <param name="connectionString">Where they are; see <see cref="ShardAddress"/>.</param>
    /// <param name="cluster">The name under which replicas keep their tables alike; null where ClickHouse does that by itself.</param>
    /// <param name="logger">Told of a replica that cannot be used.</param>
    /// <param name="writeAttempt">How long one of several replicas may take to write; null for what fits their number.</param>
    public ClickHouseShards(string connectionString, string? cluster = null, ILogger? logger = null, TimeSpan? writeAttempt = null) =>
        _shards = [.. ShardAddress.Of(connectionString).Select(address => new ClickHouseShard(address, cluster, logger, writeAttempt))];

    /// <summary>Which of so many shards has the events of an identity. Events that are stored depend on it, so it never changes.</summary>
    public static int Of(Guid identity, int shards)
    {
        Span<byte> bytes = stackalloc byte[16];
        identity.TryWriteBytes(bytes, bigEndian: true, out _);
        // Slices and slots are made from the first bytes of this hash, and should have identities of every shard.
        return (int)((BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]) * (ulong)shards) >> 32);
    }

    /// <summary>Changes something on each, any number of times to the same result.</summary>
    public Task Execute(string sql, IReadOnlyDictionary<string, object>? parameters, CancellationToken ct) =>
        All((shard, limited) => shard.Execute(sql, parameters, limited), ct);

    /// <summary>Reads the rows of all, one at a time and in no order: of everything that was written before.</summary>
    public Task Read(string sql, IReadOnlyDictionary<string, object>? parameters, Action<ClickHouseDataReader> take, CancellationToken ct)
    {
        if (_shards is [var only])
        {
            return only.Read(sql, parameters, take, ct);
        }

        var turn = new Lock();
        return All(
            (shard, limited) =>
                shard.Read(
                    sql,
                    parameters,
                    row =>
                    {
                        lock (turn)
                        {
                            take(row);
                        }
                    },
                    limited
                ),
            ct
        );
    }

    /// <summary>The sum of the number that each answers.</summary>
    public async Task<long> Sum(string sql, IReadOnlyDictionary<string, object>? parameters, CancellationToken ct)
    {
        var sum = 0L;
        await Read(sql, parameters, row => sum += row.GetInt64(0), ct);
        return sum;
    }

    /// <summary>
    /// Writes rows, those of a shard as one block, to most of its replicas. If it fails, some of them may be stored nevertheless.
    /// </summary>
    public Task Insert<T>(string table, IReadOnlyCollection<T> rows, CancellationToken ct)
        where T : class, IShardRow
    {
        if (_shards is [var only])
        {
            return only.Insert(table, rows, ct);
        }

        var byShard = rows.ToLookup(row => _shards[Of(row.Identity, _shards.Length)]);
        return All(
            (shard, limited) => byShard[shard].ToList() is { Count: > 0 } its ? shard.Insert(table, its, limited) : Task.CompletedTask,
            ct
        );
    }

    public void Dispose() => Array.ForEach(_shards, shard => shard.Dispose());

    // Without one of them there is no answer, so its failure ends the others.
    private async Task All(Func<ClickHouseShard, CancellationToken, Task> work, CancellationToken ct)
    {
        using var together = CancellationTokenSource.CreateLinkedTokenSource(ct);
        await Task.WhenAll(_shards.Select(Work));

        async Task Work(ClickHouseShard shard)
        {
            try
            {
                await work(shard, together.Token);
            }
            catch
            {
                await together.CancelAsync();
                throw;
            }
        }
    }
}
