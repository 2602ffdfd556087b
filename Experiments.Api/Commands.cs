using System.Globalization;
using System.Text.Json;
using Experiments.Api.Aggregation;
using Experiments.Api.Analysis;
using Experiments.Api.ClickHouse;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Experiments.Api.Slices;
using Experiments.Api.Slices.Features;
using Experiments.Api.Slices.Identities;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api;

/// <summary>The commands of the command line, besides serving.</summary>
internal static class Commands
{
    private const string Usage = """
        Usage:
          Experiments.Api                                        serve
          Experiments.Api demo [--live]                          serve, with a demo project that is filled in the background; --live goes on
                                                                 sending what its visitors do
          Experiments.Api migrate [--to <version> [--force]]     bring the schema to the newest version, or up or down to one; 0 undoes all;
                                                                 a step down that would delete data needs --force
          Experiments.Api keys create --instance-admin [<name>]  make a key that opens the whole instance, and print it
          Experiments.Api keys list                              list the keys of the instance, without their secrets
          Experiments.Api keys revoke <id>                       revoke one of them
          Experiments.Api recompute <experiment>                 rebuild an experiment's values and sums, and correct what differs;
                    [--from-events]                              its exposures as well, from the raw events
          Experiments.Api import flagsmith <document.json>       take over the features of a Flagsmith environment document
                    [--environment <key>]                        into this environment; into the only one there is
          Experiments.Api identities export <identifier>         print what is stored of an identity
                    [--environment <key>]
          Experiments.Api identities erase <identifier>          delete it, and correct the results that are not final
                    [--environment <key>]
          Experiments.Api move-events --to <store>               copy the events to clickhouse, or back to postgresql; with --switch,
                    [--switch]                                   count from there from then on
          Experiments.Api health                                 exit with 0 when the service on this machine is alive
        """;

    /// <summary>Runs the command that <paramref name="args"/> name.</summary>
    /// <returns>The exit code, or null when they name none and the service is meant.</returns>
    public static async Task<int?> Run(string[] args) =>
        args switch
        {
            [] or [['-', '-', ..], ..] => null,
            ["migrate"] => await WithDatabase(async database =>
                Console.WriteLine(await Migrator.Run(database.ConnectionString, null, CancellationToken.None))
            ),
            ["migrate", "--to", var version] => await MigrateTo(version, force: false),
            ["migrate", "--to", var version, "--force"] => await MigrateTo(version, force: true),
            ["keys", "create", "--instance-admin"] => await CreateKey("command line"),
            ["keys", "create", "--instance-admin", var name] => await CreateKey(name),
            ["keys", "list"] => await WithKeys(async keys =>
            {
                foreach (var key in await keys.List(CancellationToken.None))
                {
                    Console.WriteLine(key);
                }
            }),
            ["keys", "revoke", var id] when Id(id) is { } key => await WithKeys(async keys =>
                Console.WriteLine(
                    await keys.Revoke(key, CancellationToken.None)
                        ? $"Key {key} is revoked."
                        : throw new ArgumentException($"The instance has no key {key} in force.")
                )
            ),
            ["recompute", var id] when Id(id) is { } experiment => await Recompute(experiment, fromEvents: false),
            ["recompute", var id, "--from-events"] when Id(id) is { } experiment => await Recompute(experiment, fromEvents: true),
            ["import", "flagsmith", var file] => await Import(file, null),
            ["import", "flagsmith", var file, "--environment", var key] => await Import(file, key),
            ["identities", "export", var identifier] => await ExportIdentity(identifier, null),
            ["identities", "export", var identifier, "--environment", var key] => await ExportIdentity(identifier, key),
            ["identities", "erase", var identifier] => await EraseIdentity(identifier, null),
            ["identities", "erase", var identifier, "--environment", var key] => await EraseIdentity(identifier, key),
            ["move-events", "--to", EventOptions.ClickHouse or EventOptions.PostgreSql, .. [] or ["--switch"]] => await MoveEvents(args),
            ["health"] => await Health(),
            _ => Explain(),
        };

    /// <summary>The demo is served with settings of its own.</summary>
    public static string[] Expanded(string[] args) =>
        args switch
        {
            ["demo", "--live", .. var rest] => ["--Demo:Enabled=true", "--Demo:Live=true", .. rest],
            ["demo", .. var rest] => ["--Demo:Enabled=true", .. rest],
            _ => args,
        };

    private static long? Id(string text) => long.TryParse(text, CultureInfo.InvariantCulture, out var id) ? id : null;

    private static int Explain()
    {
        Console.Error.WriteLine(Usage);
        return 2;
    }

    private static Task<int> CreateKey(string name) =>
        WithKeys(async keys => Console.WriteLine(await keys.Create(name, CancellationToken.None)));

    private static Task<int> WithKeys(Func<AdminKeys, Task> command) =>
        WithDatabase(async database =>
        {
            await Migrator.Run(database.ConnectionString, null, CancellationToken.None);
            await using var source = DatabaseSetup.Source(database.ConnectionString);
            await command(new AdminKeys(source));
        });

    private static Task<int> Recompute(long experimentId, bool fromEvents) =>
        WithDatabase(
            async (database, configuration) =>
            {
                await using var source = AggregationWorker.Source(database, null);
                var late = configuration.Results().LateEvents;
                if (fromEvents)
                {
                    var store = await EventStoreSetup.StoreOf(configuration, source);
                    var found = await Turn(() => new RebuildFromEvents(store, source, late).Run(experimentId, CancellationToken.None));
                    Console.WriteLine(
                        $"Experiment {experimentId}: {found.Identities} identities rebuilt from events. Corrected"
                            + $" {found.Exposures} exposures and the metrics of {found.Units} identities."
                    );
                }
                else
                {
                    var found = await Turn(() => new RebuildFromUnits(source).Run(experimentId, CancellationToken.None));
                    Console.WriteLine(
                        $"Experiment {experimentId}: {found.Identities} identities rebuilt. Corrected the values of {found.Differing}."
                    );
                }
            }
        );

    private static Task<int> Import(string file, string? environmentKey) =>
        WithDatabase(async database =>
        {
            await Migrator.Run(database.ConnectionString, null, CancellationToken.None);
            await using var source = DatabaseSetup.Source(database.ConnectionString, TimeSpan.FromMinutes(1));
            var outcome = await new FlagsmithImport(source).Run(file, environmentKey, CancellationToken.None);
            Console.WriteLine($"created {outcome.Created.Count}, updated {outcome.Updated.Count}, unchanged {outcome.Unchanged.Count}");
            var skipped = outcome.SkippedOverrides.Select(skipped => $"{skipped.Feature} for the {skipped.Kind} {skipped.Name}");
            var lines = new (string What, IEnumerable<string> Names)[]
            {
                ("created", outcome.Created),
                ("updated", outcome.Updated),
                ("same shares, but who gets which option changes once", outcome.Reassigned),
                ("override not imported", skipped),
            };
            foreach (var (what, names) in lines)
            {
                names.ToList().ForEach(name => Console.WriteLine($"  {what}: {name}"));
            }
        });

    private static Task<int> ExportIdentity(string identifier, string? environmentKey) =>
        WithDatabase(
            async (database, configuration) =>
            {
                await using var source = DatabaseSetup.Source(database.ConnectionString, TimeSpan.FromMinutes(1));
                using var passes = new FullPasses(source);
                var scope = await new CommandLineScope(source).Of(environmentKey, CancellationToken.None);
                var handler = new ExportIdentity.Handler(passes, await EventStoreSetup.StoreOf(configuration, source));
                var stored = await handler.Handle(new(scope.EnvironmentId, new(identifier)), CancellationToken.None);
                Console.WriteLine(JsonSerializer.Serialize(stored.Value, ApiJson.Options));
            }
        );

    private static Task<int> EraseIdentity(string identifier, string? environmentKey) =>
        WithDatabase(
            async (database, configuration) =>
            {
                await using var source = DatabaseSetup.Source(database.ConnectionString);
                var scope = await new CommandLineScope(source).Of(environmentKey, CancellationToken.None);
                var erasure = new IdentityErasure(
                    database,
                    await EventStoreSetup.StoreOf(configuration, source),
                    configuration.Results().LateEvents
                );
                var erased = await erasure.Run(scope, identifier, CancellationToken.None);
                Console.WriteLine($"Erased {erased.Events} events, and the identity from {erased.Experiments} experiments.");
            }
        );

    private static Task<int> MoveEvents(string[] args) =>
        WithDatabase(
            async (database, configuration) =>
            {
                await Migrator.Run(database.ConnectionString, null, CancellationToken.None);
                await using var source = AggregationWorker.Source(database, null);
                using var shards = EventStoreSetup.ShardsOf(configuration);
                var move = new EventMove(database, source, shards, configuration.Results().LateEvents, Console.Out);
                await move.Run(args[2], switches: args.Length > 3, CancellationToken.None);
            }
        );

    // The lock becomes free between two batches of a replica, or when another change of the experiment has finished.
    private static async Task<T> Turn<T>(Func<Task<T?>> run)
        where T : class
    {
        for (; ; await Task.Delay(50))
        {
            try
            {
                if (await run() is { } result)
                {
                    return result;
                }
            }
            catch (PostgresException exception) when (Failure.IsLocked(exception))
            {
                // Retry shortly.
            }
        }
    }

    private static Task<int> MigrateTo(string given, bool force) =>
        WithDatabase(async database =>
        {
            var version =
                long.TryParse(given, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && (number == 0 || Migrator.Known.Any(known => known.Number == number))
                    ? number
                    : throw new ArgumentException($"There is no version {given}. There are:\n  0\n  {string.Join("\n  ", Migrator.Known)}");
            var deleted = await Migrator.DeletedBy(database.ConnectionString, version, CancellationToken.None);
            if (deleted.Count > 0)
            {
                var list = string.Join("\n", deleted.Select(table => $"  {table.Name}: {table.Rows}"));
                if (!force)
                {
                    throw new InvalidOperationException(
                        $"Going down to version {version} deletes these rows:\n{list}\nNothing was changed. To delete them, add --force."
                    );
                }

                Console.WriteLine($"Deleting these rows:\n{list}");
            }

            Console.WriteLine(await Migrator.Run(database.ConnectionString, version, CancellationToken.None));
        });

    private static Task<int> WithDatabase(Func<DatabaseServer, Task> command) => WithDatabase((database, _) => command(database));

    private static async Task<int> WithDatabase(Func<DatabaseServer, IConfiguration, Task> command)
    {
        DapperSetup.Run();
        var configuration = new ConfigurationBuilder()
            .SetBasePath(AppContext.BaseDirectory)
            .AddJsonFile("appsettings.json", optional: true)
            .AddJsonFile($"appsettings.{Environment.GetEnvironmentVariable("ASPNETCORE_ENVIRONMENT") ?? "Production"}.json", optional: true)
            .AddEnvironmentVariables()
            .Build();
        try
        {
            await using var database = DatabaseServer.Of(configuration);
            if (database.Embedded is { } embedded)
            {
                await embedded.Start(CancellationToken.None);
            }

            await command(database, configuration);
            return 0;
        }
        catch (Exception exception)
            when (exception
                    is ArgumentException
                        or InvalidOperationException
                        or OptionsValidationException
                        or IOException
                        or System.Text.Json.JsonException
                        or NpgsqlException
                        or System.Net.Sockets.SocketException
                        or EventStoreUnavailableException
            )
        {
            await Console.Error.WriteLineAsync(exception.Message);
            return 1;
        }
    }

    private static async Task<int> Health()
    {
        var address =
            Environment.GetEnvironmentVariable("ASPNETCORE_URLS")?.Split(';')[0]
            ?? $"http://localhost:{Environment.GetEnvironmentVariable("ASPNETCORE_HTTP_PORTS")?.Split(';')[0] ?? "8080"}";
        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(3) };
        try
        {
            using var answer = await client.GetAsync(new Uri($"{LocalAddress.Of(address).TrimEnd('/')}/health/live"));
            return answer.IsSuccessStatusCode ? 0 : 1;
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException)
        {
            return 1;
        }
    }
}
