using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Bench;

/// <summary>Clients that wait for flags to change: what they cost while nothing happens, and how soon all of them are told.</summary>
internal static class StreamsBenchmark
{
    private const int Clients = 5000;
    private const string Key = "the-environment";

    public static async Task Run()
    {
        var directory = $"/tmp/experiments-bench-{Environment.ProcessId}";
        var postgres = new EmbeddedPostgres(directory);
        var clients = new List<Socket>();
        Process? service = null;
        try
        {
            await postgres.Start(CancellationToken.None);
            await Migrator.Run(postgres.ConnectionString, null, CancellationToken.None);
            await using var source = DatabaseSetup.Source(postgres.ConnectionString);
            await Execute(
                source,
                $"""
                INSERT INTO projects (name, organisation) VALUES ('bench', 'bench');
                INSERT INTO environments (project_id, name, key) VALUES (1, 'bench', '{Key}');
                INSERT INTO features (project_id, name, default_value) VALUES (1, 'flag', '"blue"');
                """
            );
            var address = Machine.FreeAddress();
            service = Machine.Start("Experiments.Api.dll", [], address, ("ConnectionStrings__Experiments", postgres.ConnectionString));
            await Machine.FirstAnswer($"{address}/health/ready");
            await Task.Delay(TimeSpan.FromSeconds(3));
            var before = Resident(service);
            var endpoint = new IPEndPoint(IPAddress.Loopback, new Uri(address).Port);
            var request = Encoding.ASCII.GetBytes($"GET /sse/environments/{Key}/stream HTTP/1.1\r\nHost: bench\r\n\r\n");
            for (var n = 0; n < Clients; n++)
            {
                var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
                clients.Add(client);
                await client.ConnectAsync(endpoint);
                await client.SendAsync(request);
            }

            await Task.Delay(TimeSpan.FromSeconds(5));
            var idle = Resident(service);
            clients.ForEach(Drain);
            var cpu = service.TotalProcessorTime;
            var clock = Stopwatch.StartNew();
            await Execute(source, "UPDATE feature_states SET enabled = true");
            var told = 0;
            foreach (var client in clients)
            {
                told += client.Poll(TimeSpan.FromSeconds(5), SelectMode.SelectRead) ? 1 : 0;
            }

            clock.Stop();
            service.Refresh();
            var machine = await Machine.Describe(source);
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"\n{machine}; {Clients:#,0} connections take {(idle - before) >> 20} MiB while they wait. A change was"
                        + $" told to {told:#,0} of them within {clock.Elapsed.TotalSeconds:0.00} s, for"
                        + $" {(service.TotalProcessorTime - cpu).TotalMicroseconds / Clients:0} µs of CPU each.\n"
                )
            );
        }
        finally
        {
            clients.ForEach(client => client.Dispose());
            await Machine.Stop(service);
            await postgres.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    private static long Resident(Process service)
    {
        service.Refresh();
        return service.WorkingSet64;
    }

    private static void Drain(Socket client)
    {
        var buffer = new byte[4096];
        while (client.Available > 0)
        {
            client.Receive(buffer);
        }
    }

    private static async Task Execute(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
