using System.Data.Common;
using ClickHouse.Driver;
using ClickHouse.Driver.ADO;
using ClickHouse.Driver.ADO.Parameters;
using ClickHouse.Driver.ADO.Readers;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// The ClickHouse server of the service, over HTTP. Its tables are made when they are first needed, so that one that is away stops neither
/// the start nor anything that needs no events. Every failure is an <see cref="EventStoreUnavailableException"/>.
/// </summary>
internal sealed class ClickHouseServer : IDisposable
{
    /// <summary>How long writing a batch may take, there and on the way.</summary>
    public static readonly TimeSpan WriteLimit = TimeSpan.FromSeconds(30);

    // Rows are found by their identity wherever their events are: many in a list, which is longer than a query may be by default.
    private const long LongestQuery = 64 << 20;

    private readonly ClickHouseClient _client;
    private readonly string _database;
    private readonly SemaphoreSlim _making = new(1);
    private volatile bool _isMade;

    public ClickHouseServer(string connectionString)
    {
        var settings = new ClickHouseClientSettings(connectionString) { UseFormDataParameters = true, Timeout = TimeSpan.FromMinutes(10) };
        _database = settings.Database;
        _client = new(settings);
    }

    /// <summary>Changes something.</summary>
    public Task Execute(string sql, IReadOnlyDictionary<string, object> parameters, CancellationToken ct) =>
        Reached(() => _client.ExecuteNonQueryAsync(sql, Of(parameters), Options(), ct), ct);

    /// <summary>Reads rows, one at a time.</summary>
    public Task Read(string sql, IReadOnlyDictionary<string, object> parameters, Action<ClickHouseDataReader> take, CancellationToken ct) =>
        Reached(
            async () =>
            {
                using var reader = await _client.ExecuteReaderAsync(sql, Of(parameters), Options(), ct);
                while (await reader.ReadAsync(ct))
                {
                    take(reader);
                }

                return true;
            },
            ct
        );

    /// <summary>Reads one row.</summary>
    public async Task<T> Single<T>(
        string sql,
        IReadOnlyDictionary<string, object> parameters,
        Func<ClickHouseDataReader, T> of,
        CancellationToken ct
    )
    {
        var value = default(T);
        await Read(sql, parameters, row => value = of(row), ct);
        return value!;
    }

    /// <summary>Writes rows as one block, which is stored as a whole or not at all.</summary>
    public Task Insert(string table, string[] columns, IReadOnlyCollection<object?[]> rows, CancellationToken ct) =>
        Reached(
            () =>
                _client.InsertBinaryAsync(
                    table,
                    columns,
                    rows!,
                    new()
                    {
                        BatchSize = rows.Count,
                        MaxDegreeOfParallelism = 1,
                        CustomSettings = new Dictionary<string, object> { ["max_execution_time"] = (int)WriteLimit.TotalSeconds },
                    },
                    ct
                ),
            ct
        );

    public void Dispose()
    {
        _client.Dispose();
        _making.Dispose();
    }

    private async Task<T> Reached<T>(Func<Task<T>> work, CancellationToken ct)
    {
        try
        {
            await MakeTables(ct);
            return await work();
        }
        catch (Exception exception) when (ct.IsCancellationRequested && exception is not OperationCanceledException)
        {
            throw new OperationCanceledException(ct);
        }
        catch (Exception exception) when (exception is DbException or HttpRequestException or IOException or TaskCanceledException)
        {
            ct.ThrowIfCancellationRequested();
            throw new EventStoreUnavailableException($"ClickHouse: {exception.Message.Split('\n')[0]}", exception);
        }
    }

    // Each statement does nothing where its table exists, so any number of replicas may do it at once.
    private async Task MakeTables(CancellationToken ct)
    {
        if (_isMade)
        {
            return;
        }

        await _making.WaitAsync(ct);
        try
        {
            if (!_isMade)
            {
                var outside = new QueryOptions { Database = "default" };
                await _client.ExecuteNonQueryAsync($"CREATE DATABASE IF NOT EXISTS `{_database}`", null, outside, ct);
                foreach (var statement in ClickHouseSchema.Statements)
                {
                    await _client.ExecuteNonQueryAsync(statement, null, Options(), ct);
                }

                _isMade = true;
            }
        }
        finally
        {
            _making.Release();
        }
    }

    private static QueryOptions Options() =>
        new()
        {
            CustomSettings = new Dictionary<string, object> { ["max_query_size"] = LongestQuery, ["max_ast_elements"] = 1_000_000 },
        };

    private static ClickHouseParameterCollection Of(IReadOnlyDictionary<string, object> parameters)
    {
        var collection = new ClickHouseParameterCollection();
        foreach (var (name, value) in parameters)
        {
            collection.Add(new ClickHouseDbParameter { ParameterName = name, Value = value });
        }

        return collection;
    }
}
