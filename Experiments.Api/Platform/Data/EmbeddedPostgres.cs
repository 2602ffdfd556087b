using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// A private PostgreSQL that runs the binaries on this machine, on a Unix socket that only its owner can open. Processes with the same
/// directory share one server. A server that is already running is reused, and the last process stops it.
/// </summary>
internal sealed class EmbeddedPostgres : IAsyncDisposable
{
    private static readonly string[] Inherited = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"];

    private const string Role = "experiments";

    private readonly string _data;
    private readonly string _socket;
    private readonly string _log;
    private readonly IReadOnlyList<string> _settings;
    private readonly Lazy<Binaries> _binaries;
    private FileStream? _user;

    public EmbeddedPostgres(string directory, params IReadOnlyList<string> settings)
    {
        Root = Path.GetFullPath(directory);
        _settings = settings;
        _data = Path.Combine(Root, "postgres");
        _log = Path.Combine(Root, "postgres.log");
        // A socket path may have at most 107 bytes, including the file name.
        var socket = Path.Combine(Root, "socket");
        _socket =
            Encoding.UTF8.GetByteCount(socket) <= 80
                ? socket
                : $"/tmp/experiments-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Root)).AsSpan(0, 8))}";
        _binaries = new(() => Binaries.Find(_data));
    }

    /// <summary>The directory that holds everything: the data, the socket, the log and the locks.</summary>
    public string Root { get; }

    public string ConnectionString => $"Host={_socket};Username={Role};Database=postgres";

    /// <summary>The data directory if none is configured.</summary>
    public static string DefaultDirectory =>
        Environment.IsPrivilegedProcess
            // The server runs as another user, who cannot look below root's home.
            ? "/var/lib/experiments"
            : Path.Combine(
                Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create),
                "experiments"
            );

    /// <summary>Starts the server, or joins the processes that already use it.</summary>
    /// <exception cref="InvalidOperationException">It cannot be started; the message says what to do.</exception>
    public async Task Start(CancellationToken ct)
    {
        foreach (var directory in new[] { Root, _socket })
        {
            await Run("install", ["-d", "-m", "700", .. _binaries.Value.Ownership, directory], ct);
        }

        using var starting = await Alone(ct);
        if (!Directory.Exists(_data))
        {
            // Created in a temporary directory and then renamed, so that a half-initialised directory left by a crash is never used as a
            // database.
            var unfinished = _data + ".new";
            await Run("rm", ["-rf", unfinished], ct);
            await Postgres(
                "initdb",
                ["-D", unfinished, "-U", Role, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"],
                ct
            );
            Directory.Move(unfinished, _data);
        }

        if (!IsRunning() && IsUsed())
        {
            throw new InvalidOperationException(
                $"{Root} is in use by a service whose PostgreSQL cannot be seen from here, perhaps in another container. Set "
                    + "EXPERIMENTS_DATA to another directory."
            );
        }

        _user = new FileStream(UsersLock, FileMode.OpenOrCreate, FileAccess.Read, FileShare.Read);
        await StartServer();
    }

    /// <summary>Restarts the server if it has died.</summary>
    /// <returns>Whether it had.</returns>
    public async Task<bool> Revive(CancellationToken ct)
    {
        if (IsRunning())
        {
            return false;
        }

        using var starting = await Alone(ct);
        return await StartServer();
    }

    /// <summary>Releases the server, and stops it if no other process uses it.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_user is null)
        {
            return;
        }

        using var stopping = await Alone(CancellationToken.None);
        await _user.DisposeAsync();
        _user = null;
        if (IsUsed() || !IsRunning())
        {
            return;
        }

        await Postgres("pg_ctl", ["stop", "-D", _data, "-m", "fast", "-w", "-s"], CancellationToken.None);
    }

    // Never cancelled half way. Once started, the server is stopped by the processes that use it.
    private async Task<bool> StartServer()
    {
        if (IsRunning())
        {
            return false;
        }

        // A PID file left by a crash may name an unrelated process by now, or a zombie, as is common in containers.
        File.Delete(Pid);
        File.Delete(Path.Combine(_socket, ".s.PGSQL.5432.lock"));
        // pg_ctl passes the options to a shell.
        var settings = new[] { "listen_addresses=", $"unix_socket_directories={_socket}", "unix_socket_permissions=0700" }
            .Concat(_settings)
            .Select(setting => $"-c '{setting.Replace("'", @"'\''", StringComparison.Ordinal)}'");
        await Postgres(
            "pg_ctl",
            ["start", "-D", _data, "-l", _log, "-w", "-t", "60", "-s", "-o", string.Join(' ', settings)],
            CancellationToken.None
        );
        return true;
    }

    private string Pid => Path.Combine(_data, "postmaster.pid");

    private string UsersLock => Path.Combine(Root, "users.lock");

    // Whether any process holds a shared lock on the users file. Only called before this process takes its own lock, or after it has
    // released it.
    private bool IsUsed()
    {
        try
        {
            using var alone = new FileStream(UsersLock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    // One process at a time starts or stops the server.
    private async Task<FileStream> Alone(CancellationToken ct)
    {
        for (var patience = Stopwatch.StartNew(); ; await Task.Delay(50, ct))
        {
            try
            {
                return new FileStream(Path.Combine(Root, "start.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (patience.Elapsed < TimeSpan.FromMinutes(2)) { }
        }
    }

    // The process in the PID file is this server only if it was started for the data directory.
    private bool IsRunning()
    {
        try
        {
            var pid = File.ReadLines(Pid).First().Trim();
            return File.ReadAllText($"/proc/{pid}/cmdline").Split('\0').Contains(_data);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            return false;
        }
    }

    private Task Postgres(string program, string[] arguments, CancellationToken ct)
    {
        var binaries = _binaries.Value;
        return Run(binaries.Launcher[0], [.. binaries.Launcher[1..], Path.Combine(binaries.Directory, program), .. arguments], ct);
    }

    private async Task Run(string program, string[] arguments, CancellationToken ct)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        // The server outlives this process and needs none of its secrets.
        foreach (var name in start.Environment.Keys.Where(name => !Inherited.Contains(name)).ToList())
        {
            start.Environment.Remove(name);
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(ct);
        var error = process.StandardError.ReadToEndAsync(ct);
        await process.WaitForExitAsync(ct);
        if (process.ExitCode != 0)
        {
            var said = string.Join(
                '\n',
                (await error).Trim(),
                (await output).Trim(),
                File.Exists(_log) ? await File.ReadAllTextAsync(_log, ct) : ""
            );
            throw new InvalidOperationException(
                $"The embedded PostgreSQL in {Root} could not be used. Set EXPERIMENTS_DATA to another directory, or "
                    + $"ConnectionStrings__Experiments to a server. It said:\n{said[Math.Max(0, said.Length - 2000)..]}"
            );
        }
    }

    /// <summary>The PostgreSQL programs, and the user who runs them.</summary>
    private sealed record Binaries(string Directory, string[] Launcher, string[] Ownership)
    {
        public static Binaries Find(string data)
        {
            var version = Path.Combine(data, "PG_VERSION") is var file && File.Exists(file) ? File.ReadAllText(file).Trim() : null;
            string[] candidates =
            [
                .. new[] { Environment.GetEnvironmentVariable("EXPERIMENTS_PG_BIN") }.OfType<string>(),
                .. Installed()
                    .OrderByDescending(found => found.Version == version)
                    .ThenByDescending(found => found.Number)
                    .Select(found => found.Directory),
                .. (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'),
            ];
            var directory =
                candidates.FirstOrDefault(candidate =>
                    File.Exists(Path.Combine(candidate, "initdb")) && File.Exists(Path.Combine(candidate, "pg_ctl"))
                )
                ?? throw new InvalidOperationException(
                    "There is no PostgreSQL on this machine. Install it (apt-get install -y postgresql), or name its programs in "
                        + "EXPERIMENTS_PG_BIN, or set ConnectionStrings__Experiments to a server."
                );

            if (!Environment.IsPrivilegedProcess)
            {
                return new(directory, ["env"], []);
            }

            // PostgreSQL refuses to run as root.
            var (user, group) = File.ReadLines("/etc/passwd").Any(line => line.StartsWith("postgres:", StringComparison.Ordinal))
                ? ("postgres", "postgres")
                : ("nobody", "nogroup");
            return new(directory, ["setpriv", $"--reuid={user}", $"--regid={group}", "--clear-groups", "--"], ["-o", user, "-g", group]);
        }

        private static IEnumerable<(string Directory, string Version, int Number)> Installed() =>
            System.IO.Directory.Exists("/usr/lib/postgresql")
                ? System
                    .IO.Directory.GetDirectories("/usr/lib/postgresql")
                    .Select(path =>
                        (
                            Path.Combine(path, "bin"),
                            Path.GetFileName(path),
                            int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                                ? number
                                : 0
                        )
                    )
                : [];
    }
}
