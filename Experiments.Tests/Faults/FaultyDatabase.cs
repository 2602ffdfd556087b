using System.Diagnostics;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Faults;

/// <summary>A PostgreSQL of its own that can be frozen, run out of disk, and be wrong about the time.</summary>
internal sealed class FaultyDatabase : IAsyncDisposable
{
    // Found before those of pg_catalog, by the search path.
    private const string Clock = """
        CREATE SCHEMA faults;
        CREATE TABLE faults.clock (ahead interval NOT NULL);
        INSERT INTO faults.clock VALUES ('0');
        CREATE FUNCTION faults.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
            AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM faults.clock';
        CREATE FUNCTION faults.now() RETURNS timestamptz LANGUAGE sql STABLE
            AS 'SELECT pg_catalog.now() + ahead FROM faults.clock';
        """;

    private readonly string _root;
    private readonly bool _isSmall;
    private readonly EmbeddedPostgres _server;

    private FaultyDatabase(string root, bool isSmall)
    {
        (_root, _isSmall) = (root, isSmall);
        _server = new EmbeddedPostgres(root, "fsync=off", "max_connections=200", "max_wal_size=64MB", "min_wal_size=32MB");
    }

    public string ConnectionString => $"{_server.ConnectionString};Search Path=public,faults,pg_catalog";

    private string Filler => Path.Combine(_root, "filler");

    /// <param name="isSmall">Whether its disk is a small one, which can be filled. Not every machine lets a test mount one.</param>
    public static async Task<FaultyDatabase> Start(bool isSmall)
    {
        var root = Temporary.Directory("faults");
        if (isSmall)
        {
            Directory.CreateDirectory(root);
            Assert.SkipUnless(Shell($"mount -t tmpfs -o size=256m experiments {root}") == 0, "A small disk needs the right to mount one.");
        }

        var database = new FaultyDatabase(root, isSmall);
        await database._server.Start(CancellationToken.None);
        await database.Execute(Clock);
        return database;
    }

    /// <summary>Stops all its processes, or lets them go on.</summary>
    public void Signal(string signal)
    {
        var postmaster = File.ReadLines(Path.Combine(_root, "postgres", "postmaster.pid")).First();
        Shell($"kill -{signal} {postmaster} $(cat /proc/{postmaster}/task/{postmaster}/children)");
    }

    public Task SetClock(string ahead) => Execute($"UPDATE faults.clock SET ahead = '{ahead}'");

    /// <summary>Leaves a quarter of a megabyte.</summary>
    public void FillDisk() => Shell($"fallocate -l {new DriveInfo(_root).AvailableFreeSpace - 256 * 1024} {Filler}").ShouldBe(0);

    public void FreeDisk() => File.Delete(Filler);

    /// <summary>Starts it again if it has ended.</summary>
    public Task Revive() => _server.Revive(CancellationToken.None);

    public async Task Execute(string sql)
    {
        // Not pooled, because some faults end all connections.
        await using var connection = new NpgsqlConnection($"{ConnectionString};Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    public async ValueTask DisposeAsync()
    {
        Signal("CONT");
        await _server.DisposeAsync();
        if (_isSmall)
        {
            Shell($"umount {_root}");
        }

        Directory.Delete(_root, recursive: true);
    }

    private static int Shell(string command)
    {
        using var shell = Process.Start("/bin/sh", ["-c", $"{command} 2>/dev/null"]);
        shell.WaitForExit();
        return shell.ExitCode;
    }
}
