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
        catch (Exception exception)
            // The driver may notice it first.
            when ((deadline.IsCancellationRequested || exception.GetBaseException() is TimeoutException) && !ct.IsCancellationRequested)
        {
            throw new WarehouseException($"The warehouse did not answer within {limit.TotalSeconds:0} s.", exception);
        }
        catch (Exception) when (ct.IsCancellationRequested)
        {
            throw new OperationCanceledException(ct);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.QueryCanceled)
        {
            throw new WarehouseException($"The query took longer than {limit.TotalSeconds:0} s.", exception);
        }
        catch (PostgresException exception)
        {
            throw new WarehouseException($"PostgreSQL refused: {exception.MessageText} ({exception.SqlState}).", exception);
        }
        catch (EndOfStreamException exception)
        {
            throw new WarehouseException("The connection broke before all rows had come.", exception);
        }
        catch (Exception exception) when (exception is NpgsqlException or SocketException or HttpRequestException or IOException)
        {
            throw new WarehouseException(Unreachable(warehouse, exception), exception);
        }
        catch (DbException exception)
        {
            throw new WarehouseException($"ClickHouse refused: {FirstLine(exception.Message)}", exception);
        }
        catch (Exception exception) when (exception is not WarehouseException)
        {
            // Whatever a driver makes of an answer that is none, or of a value that is none of its type.
            throw new WarehouseException(
                $"The answer could not be read ({exception.GetType().Name}): check the kind of the warehouse, 'at' and 'value'.",
                exception
            );
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
            SslMode = warehouse.Tls ? SslMode.VerifyFull : SslMode.Disable,
            ApplicationName = "experiments",
            Timezone = "UTC",
            Pooling = false,
            // While it opens a connection, the driver does not listen to the token.
            Timeout = (int)Math.Ceiling(Math.Min(limit.TotalSeconds, Patience.TotalSeconds)),
            CommandTimeout = 0,
            CancellationTimeout = -1,
            // Whatever the server or the role has by default, in a literal only a quotation mark means something else.
            Options =
                "-c default_transaction_read_only=on -c standard_conforming_strings=on"
                + $" -c statement_timeout={(long)limit.TotalMilliseconds}",
        };
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        // An empty one as well; without one, the driver would look for that of the operator.
        var password = cipher.Decrypt(warehouse.Password, warehouse.ProjectId);
        builder.UsePasswordProvider(_ => password, (_, _) => ValueTask.FromResult(password));
        // The certificate is that of the name, and the connection goes to the address that was checked.
        builder.UseSslClientAuthenticationOptionsCallback(tls => tls.TargetHost = warehouse.Host);
        await using var source = builder.Build();
        await using var connection = await Open(source, ct);
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

    // One that is opened after nobody waits for it any more is closed.
    private static async Task<NpgsqlConnection> Open(NpgsqlDataSource source, CancellationToken ct)
    {
        var opening = source.OpenConnectionAsync(ct).AsTask();
        try
        {
            return await opening.WaitAsync(ct);
        }
        catch (OperationCanceledException)
        {
            _ = opening.ContinueWith(
                late => late.Result.Dispose(),
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnRanToCompletion,
                TaskScheduler.Default
            );
            throw;
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
        // The driver reads rows without a token: what it waits for is cut off.
        NetworkStream? stream = null;
        await using var cut = ct.Register(() => stream?.Dispose());
        // Without redirections and proxies, which could lead elsewhere.
        var handler = new SocketsHttpHandler
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
                    return stream = new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
            SslOptions = new SslClientAuthenticationOptions { TargetHost = warehouse.Host },
        };
        using var http = new HttpClient(new ErrorBodyLimit(handler)) { Timeout = Timeout.InfiniteTimeSpan };
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
        // Reads only, which lets settings be set, and fails rather than leave out rows.
        foreach (
            var (name, value) in new (string, object)[]
            {
                ("readonly", 2),
                ("max_execution_time", (int)Math.Ceiling(limit.TotalSeconds)),
                ("timeout_overflow_mode", "throw"),
                ("read_overflow_mode", "throw"),
                ("result_overflow_mode", "throw"),
            }
        )
        {
            settings.CustomSettings[name] = value;
        }

        try
        {
            await ReadClickHouse(settings, sql, parameters, take, ct);
        }
        catch (DbException exception) when (exception.Message.Contains("(READONLY)", StringComparison.Ordinal))
        {
            // A user who may change nothing, settings neither. The time limit is held here.
            settings.CustomSettings.Clear();
            await ReadClickHouse(settings, sql, parameters, take, ct);
        }
    }

    private static async Task ReadClickHouse(
        ClickHouseClientSettings settings,
        string sql,
        IReadOnlyDictionary<string, object> parameters,
        Action<DbDataReader> take,
        CancellationToken ct
    )
    {
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

    private static string FirstLine(string text) => text.Split('\n')[0];
}
