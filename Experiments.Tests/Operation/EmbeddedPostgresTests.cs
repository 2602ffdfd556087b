using System.Diagnostics;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Operation;

public sealed class EmbeddedPostgresTests : IDisposable
{
    private readonly string _directory = Temporary.Directory("it's embedded");

    [Fact]
    public async Task Those_who_use_a_directory_share_its_server_and_the_last_one_stops_it()
    {
        var first = new EmbeddedPostgres(_directory, "fsync=off");
        await first.Start(CancellationToken.None);
        var postmaster = Postmaster();
        var second = new EmbeddedPostgres(_directory);
        await second.Start(CancellationToken.None);

        Postmaster().ShouldBe(postmaster);
        await first.DisposeAsync();
        (await Ask(second)).ShouldBe(1);
        await second.DisposeAsync();

        File.Exists(Path.Combine(_directory, "postgres", "postmaster.pid")).ShouldBeFalse();
        await Should.ThrowAsync<NpgsqlException>(() => Ask(second));
    }

    [Fact]
    public async Task A_server_that_a_crash_left_running_is_adopted_and_one_that_is_gone_is_started_again()
    {
        var crashed = new EmbeddedPostgres(_directory, "fsync=off");
        await crashed.Start(CancellationToken.None);
        var left = Postmaster();

        await using (var adopting = new EmbeddedPostgres(_directory))
        {
            await adopting.Start(CancellationToken.None);
            Postmaster().ShouldBe(left);
            Process.GetProcessById(left).Kill();
            await Task.Delay(300);
            (await adopting.Revive(CancellationToken.None)).ShouldBeTrue();
            (await adopting.Revive(CancellationToken.None)).ShouldBeFalse();
            (await Ask(adopting)).ShouldBe(1);
        }

        await crashed.DisposeAsync();
    }

    [Fact]
    public async Task What_a_crash_left_half_made_is_made_anew()
    {
        await using (var first = new EmbeddedPostgres(_directory, "fsync=off"))
        {
            await first.Start(CancellationToken.None);
        }

        // As if it had died in the middle of initdb.
        Directory.Move(Path.Combine(_directory, "postgres"), Path.Combine(_directory, "postgres.new"));
        File.Delete(Path.Combine(_directory, "postgres.new", "global", "pg_control"));

        await using var second = new EmbeddedPostgres(_directory, "fsync=off");
        await second.Start(CancellationToken.None);
        (await Ask(second)).ShouldBe(1);
    }

    [Fact]
    public async Task It_listens_on_no_port_and_lets_nobody_else_in()
    {
        await using var postgres = new EmbeddedPostgres(_directory, "fsync=off");
        await postgres.Start(CancellationToken.None);

        (await Ask(postgres, "SELECT count(*)::int FROM pg_settings WHERE name = 'listen_addresses' AND setting = ''")).ShouldBe(1);
        File.GetUnixFileMode(_directory).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public void Dispose()
    {
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    private int Postmaster() =>
        int.Parse(
            File.ReadLines(Path.Combine(_directory, "postgres", "postmaster.pid")).First(),
            System.Globalization.CultureInfo.InvariantCulture
        );

    private static async Task<int> Ask(EmbeddedPostgres postgres, string sql = "SELECT 1")
    {
        await using var connection = new NpgsqlConnection(postgres.ConnectionString + ";Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return (int)(await command.ExecuteScalarAsync())!;
    }
}
