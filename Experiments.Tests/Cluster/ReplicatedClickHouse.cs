using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Experiments.Tests.Cluster;

/// <summary>
/// ZooKeeper and two replicas of Debian's ClickHouse, which <c>./dev cluster</c> installs. That release is from 2018, too old for the
/// driver, and speaks plain HTTP; there is no newer one that can be installed everywhere and replicates.
/// </summary>
public sealed class ReplicatedClickHouse : IAsyncLifetime
{
    // It names all others that it needs; the second is where its log goes: nowhere.
    private const string Jars = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-nop.jar";

    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromMinutes(1) };

    private readonly string _directory = Temporary.Directory("cluster");
    private readonly int _keeper = FreePort();
    private readonly (int Http, int Tcp, int Interserver)[] _ports =
    [
        (FreePort(), FreePort(), FreePort()),
        (FreePort(), FreePort(), FreePort()),
    ];
    private readonly Process?[] _replicas = new Process?[2];
    private Process? _zooKeeper;

    /// <summary>Whether they are installed.</summary>
    public static bool IsInstalled => File.Exists("/usr/sbin/clickhouse-server") && File.Exists("/usr/share/java/zookeeper.jar");

    public async ValueTask InitializeAsync()
    {
        if (!IsInstalled)
        {
            return;
        }

        Directory.CreateDirectory(_directory);
        var settings = Path.Combine(_directory, "zoo.cfg");
        await File.WriteAllTextAsync(
            settings,
            $"""
            tickTime=500
            dataDir={_directory}/zookeeper
            clientPort={_keeper}
            clientPortAddress=127.0.0.1
            admin.enableServer=false
            4lw.commands.whitelist=srvr
            """
        );
        _zooKeeper = Start("java", "-cp", Jars, "org.apache.zookeeper.server.ZooKeeperServerMain", settings);
        await Given.Eventually(async () =>
        {
            using var client = new TcpClient();
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            try
            {
                await client.ConnectAsync(IPAddress.Loopback, _keeper);
                await client.GetStream().WriteAsync("srvr"u8.ToArray(), patience.Token);
                // Until it serves, it says so instead.
                var said = await new StreamReader(client.GetStream()).ReadToEndAsync(patience.Token);
                return said.Contains("Mode: standalone", StringComparison.Ordinal);
            }
            catch (Exception exception) when (exception is SocketException or IOException or OperationCanceledException)
            {
                return _zooKeeper.HasExited ? throw new IOException("ZooKeeper has ended.") : false;
            }
        });
        await Task.WhenAll(Begin(0), Begin(1));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _replicas.Append(_zooKeeper).OfType<Process>())
        {
            process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }

        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    /// <summary>The configuration of an engine that keeps its tables with this ZooKeeper.</summary>
    public async Task<string> Configuration()
    {
        var file = Path.Combine(_directory, "engine.xml");
        await File.WriteAllTextAsync(
            file,
            $"""
            <clickhouse><zookeeper><node><host>127.0.0.1</host><port>{_keeper}</port></node></zookeeper></clickhouse>
            """
        );
        return file;
    }

    /// <summary>Starts a replica, and waits until it answers.</summary>
    public async Task Begin(int replica)
    {
        var (http, tcp, interserver) = _ports[replica];
        var home = Directory.CreateDirectory(Path.Combine(_directory, $"{replica}")).FullName;
        await File.WriteAllTextAsync(
            Path.Combine(home, "config.xml"),
            $"""
            <yandex>
                <logger><level>warning</level><log>{home}/log</log><errorlog>{home}/errors</errorlog></logger>
                <listen_host>127.0.0.1</listen_host>
                <http_port>{http}</http_port>
                <tcp_port>{tcp}</tcp_port>
                <interserver_http_port>{interserver}</interserver_http_port>
                <interserver_http_host>127.0.0.1</interserver_http_host>
                <path>{home}/</path>
                <tmp_path>{home}/tmp/</tmp_path>
                <mark_cache_size>67108864</mark_cache_size>
                <users_config>{home}/users.xml</users_config>
                <default_profile>default</default_profile>
                <default_database>default</default_database>
                <zookeeper>
                    <node><host>127.0.0.1</host><port>{_keeper}</port></node>
                    <session_timeout_ms>5000</session_timeout_ms>
                </zookeeper>
            </yandex>
            """
        );
        await File.WriteAllTextAsync(
            Path.Combine(home, "users.xml"),
            """
            <yandex>
                <profiles><default><max_threads>2</max_threads></default></profiles>
                <users><default><password></password><networks><ip>127.0.0.1</ip></networks>
                    <profile>default</profile><quota>default</quota></default></users>
                <quotas><default></default></quotas>
            </yandex>
            """
        );
        _replicas[replica] = Start("/usr/sbin/clickhouse-server", $"--config-file={home}/config.xml");
        await Given.Eventually(async () =>
        {
            try
            {
                return (await Http.GetStringAsync(new Uri($"http://127.0.0.1:{http}/ping"))).Length > 0;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    /// <summary>Kills a replica.</summary>
    public async Task Kill(int replica)
    {
        _replicas[replica]!.Kill();
        await _replicas[replica]!.WaitForExitAsync();
    }

    /// <summary>What a replica answers: rows of text, or the number of an error.</summary>
    public async Task<(string Text, int Error)> Ask(int replica, string sql, string settings = "")
    {
        using var response = await Http.PostAsync(new Uri($"http://127.0.0.1:{_ports[replica].Http}/?{settings}"), new StringContent(sql));
        var text = await response.Content.ReadAsStringAsync();
        var code = text.StartsWith("Code: ", StringComparison.Ordinal) ? text[6..text.IndexOf(',', StringComparison.Ordinal)] : "1";
        return (text, response.IsSuccessStatusCode ? 0 : int.Parse(code, CultureInfo.InvariantCulture));
    }

    // What it says is read, so that it can go on, and not kept.
    private static Process Start(string program, params string[] arguments)
    {
        var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true }
        )!;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
