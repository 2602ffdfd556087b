using System.Data.Common;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using ClickHouse.Driver.ADO;
using ClickHouse.Driver.ADO.Parameters;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Warehouse;

/// <summary>
/// Reads from the warehouses of customers, within a time limit and without being able to change anything there. Every failure is a
/// <see cref="WarehouseException"/> that says what to mend.
/// </summary>
internal sealed class WarehouseClient(AllowedHosts hosts, PasswordCipher cipher, IOptions<WarehouseOptions> options)
{
    /// <summary>How long opening a connection may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>The dialect of a kind of warehouse.</summary>
    public static WarehouseDialect DialectOf(string kind) =>
        kind == WarehouseConnection.ClickHouse ? new WarehouseDialect.ClickHouse() : new WarehouseDialect.PostgreSql();

    /// <summary>Reads the rows of a query, one at a time.</summary>
    /// <param name="warehouse">The warehouse.</param>
    /// <param name="sql">The query, in its dialect.</param>
    /// <param name="parameters">The values of its parameters.</param>
    /// <param name="take">Called for each row.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="ct">Ends it.</param>
    public async Task Read(
        WarehouseConnection warehouse,
        string sql,
        IReadOnlyDictionary<string, object> parameters,
        Action<DbDataReader> take,
        TimeSpan limit,
        CancellationToken ct
    )
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(limit);
        try
        {
            var address = await hosts.Resolve(warehouse.Host, warehouse.Port, deadline.Token);
            await (
                warehouse.Kind == WarehouseConnection.ClickHouse
                    ? ReadClickHouse(warehouse, address, sql, parameters, take, limit, deadline.Token)
                    : ReadPostgreSql(warehouse, address, sql, parameters, take, limit, deadline.Token)
            );
        }
        catch (OperationCanceledException exception) when (!ct.IsCancellationRequested)
        {
            throw new WarehouseException($"The warehouse did not answer within {limit.TotalSeconds:0} s.", exception);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.QueryCanceled)
        {
            throw new WarehouseException($"The query took longer than {limit.TotalSeconds:0} s.", exception);
        }
        catch (PostgresException exception)
        {
            throw new WarehouseException($"PostgreSQL refused: {exception.MessageText} ({exception.SqlState}).", exception);
        }
        catch (Exception exception) when (exception is NpgsqlException or SocketException or HttpRequestException or IOException)
        {
            throw new WarehouseException(Unreachable(warehouse, exception), exception);
        }
        catch (DbException exception)
        {
            throw new WarehouseException($"ClickHouse refused: {FirstLine(exception.Message)}", exception);
        }
        catch (Exception exception) when (exception is InvalidCastException or FormatException or OverflowException)
        {
            throw new WarehouseException("A column has values of another type than expected: check 'at' and 'value'.", exception);
        }
    }

    private async Task ReadPostgreSql(
        WarehouseConnection warehouse,
        IPAddress address,
        string sql,
        IReadOnlyDictionary<string, object> parameters,
        Action<DbDataReader> take,
        TimeSpan limit,
        CancellationToken ct
    )
    {
        var settings = new NpgsqlConnectionStringBuilder
        {
            Host = address.ToString(),
            Port = warehouse.Port,
            Database = warehouse.Database,
            Username = warehouse.Username,
            Password = cipher.Decrypt(warehouse.Password, warehouse.ProjectId),
            SslMode = warehouse.Tls ? SslMode.VerifyFull : SslMode.Disable,
            ApplicationName = "experiments",
            Timezone = "UTC",
            Pooling = false,
            Timeout = (int)Patience.TotalSeconds,
            CommandTimeout = 0,
            CancellationTimeout = -1,
            Options = $"-c default_transaction_read_only=on -c statement_timeout={(long)limit.TotalMilliseconds}",
        };
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        // The certificate is that of the name, and the connection goes to the address that was checked.
        builder.UseSslClientAuthenticationOptionsCallback(tls => tls.TargetHost = warehouse.Host);
        await using var source = builder.Build();
        await using var connection = await source.OpenConnectionAsync(ct);
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var (name, value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        await using var row = await command.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            take(row);
        }
    }

    private async Task ReadClickHouse(
        WarehouseConnection warehouse,
        IPAddress address,
        string sql,
        IReadOnlyDictionary<string, object> parameters,
        Action<DbDataReader> take,
        TimeSpan limit,
        CancellationToken ct
    )
    {
        // Without redirections and proxies, which could lead elsewhere.
        using var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            ConnectTimeout = Patience,
            AutomaticDecompression = DecompressionMethods.All,
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                try
                {
                    await socket.ConnectAsync(address, warehouse.Port, cancellation);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
            SslOptions = new SslClientAuthenticationOptions { TargetHost = warehouse.Host },
        };
        using var http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        var settings = new ClickHouseClientSettings
        {
            Host = warehouse.Host,
            Port = (ushort)warehouse.Port,
            Protocol = warehouse.Tls ? "https" : "http",
            Database = warehouse.Database,
            Username = warehouse.Username,
            Password = cipher.Decrypt(warehouse.Password, warehouse.ProjectId),
            HttpClient = http,
            Timeout = limit,
        };
        // Reads only; the limit may be set because this is not 1.
        settings.CustomSettings["readonly"] = 2;
        settings.CustomSettings["max_execution_time"] = (int)Math.Ceiling(limit.TotalSeconds);
        await using var connection = new ClickHouseConnection(settings);
        await connection.OpenAsync(ct);
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in parameters)
        {
            command.Parameters.Add(new ClickHouseDbParameter { ParameterName = name, Value = value });
        }

        await using var row = await command.ExecuteReaderAsync(ct);
        while (await row.ReadAsync(ct))
        {
            take(row);
        }
    }

    /// <summary>How long a read of an experiment may take.</summary>
    public TimeSpan Limit => options.Value.TimeLimit;

    private static string Unreachable(WarehouseConnection warehouse, Exception exception) =>
        $"Could not connect to {warehouse.Host}:{warehouse.Port}: "
        + FirstLine((exception.GetBaseException() is { } cause && cause != exception ? cause : exception).Message);

    private static string FirstLine(string text) =>
        text.Split('\n')[0] is var line && line.Length > 500 ? line[..500] : text.Split('\n')[0];
}
