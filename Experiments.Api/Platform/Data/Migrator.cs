using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>Brings the schema to a version, by one replica at a time.</summary>
internal static class Migrator
{
    private const string HistoryTable = "schema_history";

    // Any number will do as long as nothing else on the server takes it.
    private const long Lock = 0x4578_7065_7269_6D65;

    /// <summary>The names of all migrations, oldest first.</summary>
    public static IReadOnlyList<string> Known { get; } =
    [
        .. typeof(Migrator).Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(Migration)))
            .Select(type => ((MigrationAttribute)type.GetCustomAttributes(typeof(MigrationAttribute), false)[0]).Id)
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>Migrates up to the newest version, or up or down to <paramref name="version"/>; "0" undoes everything.</summary>
    /// <returns>The version that the schema has now.</returns>
    public static async Task<string> Run(string connectionString, string? version, CancellationToken ct)
    {
        // Connections of its own: a migration may take longer than a request is allowed to.
        await using var source = DatabaseSetup.Source(connectionString);

        // Most starts have nothing to do, and to find that out by EF costs most of a second.
        if (version is null && await Applied(source, ct) is { } applied && applied.SequenceEqual(Known))
        {
            return Known[^1];
        }

        await using var connection = await source.OpenConnectionAsync(ct);
        await Acquire(connection, ct);
        try
        {
            var options = new DbContextOptionsBuilder<SchemaContext>()
                .UseNpgsql(source, npgsql => npgsql.MigrationsHistoryTable(HistoryTable).CommandTimeout(0))
                .Options;
            await using var context = new SchemaContext(options);
            await context.GetService<IMigrator>().MigrateAsync(version, ct);
            return (await context.Database.GetAppliedMigrationsAsync(ct)).LastOrDefault() ?? "0";
        }
        finally
        {
            await using var release = new NpgsqlCommand("SELECT pg_advisory_unlock($1)", connection) { Parameters = { new() { Value = Lock } } };
            await release.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    private static async Task<string[]?> Applied(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var command = source.CreateCommand(
            $"""SELECT array_agg("MigrationId" ORDER BY "MigrationId" COLLATE "C") FROM {HistoryTable}""");
        try
        {
            return await command.ExecuteScalarAsync(ct) as string[];
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return null;
        }
    }

    // Asked again and again instead of waited for: a waiter holds a snapshot, and CREATE INDEX CONCURRENTLY waits for snapshots.
    private static async Task Acquire(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var ask = new NpgsqlCommand("SELECT pg_try_advisory_lock($1)", connection) { Parameters = { new() { Value = Lock } } };
        while (await ask.ExecuteScalarAsync(ct) is not true)
        {
            await Task.Delay(100, ct);
        }
    }
}
