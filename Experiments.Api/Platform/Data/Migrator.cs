using System.Reflection;
using Experiments.Migrations;
using FluentMigrator;
using FluentMigrator.Runner;
using FluentMigrator.Runner.VersionTableInfo;
using Npgsql;

namespace Experiments.Api.Platform.Data;

/// <summary>Migrates the schema to a version. Only one replica does so at a time.</summary>
internal static class Migrator
{
    // An arbitrary number that no other program on the server uses.
    private const long Lock = 0x4578_7065_7269_6D65;

    // A table may hold billions of rows, and counting them all would take hours.
    private const long MostCounted = 1_000_000;

    /// <summary>All versions, oldest first.</summary>
    public static IReadOnlyList<SchemaVersion> Known { get; } =
    [
        .. typeof(Migrator)
            .Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(TableMigration)))
            .Select(type => (Attribute: type.GetCustomAttribute<MigrationAttribute>()!, Type: type))
            .OrderBy(migration => migration.Attribute.Version)
            .Select(migration => new SchemaVersion(
                migration.Attribute.Version,
                migration.Attribute.Description,
                ((TableMigration)Activator.CreateInstance(migration.Type)!).Tables
            )),
    ];

    /// <summary>Whether every migration that this build knows has been applied. There may be newer ones.</summary>
    public static async Task<bool> IsCurrent(NpgsqlDataSource source, CancellationToken ct)
    {
        var applied = await Applied(source, ct);
        return Known.All(known => applied.Contains(known.Number));
    }

    /// <summary>Migrates up to the newest version, or up or down to <paramref name="version"/>; 0 undoes everything.</summary>
    /// <returns>The version that the schema has now.</returns>
    public static async Task<long> Run(string connectionString, long? version, CancellationToken ct)
    {
        // Connections of its own: a migration may take longer than a request is allowed to.
        await using var source = DatabaseSetup.Source(connectionString);

        // Most starts have nothing to migrate, and one query finds that out.
        if (version is null && (await Applied(source, ct)).SequenceEqual(Known.Select(known => known.Number)))
        {
            return Known[^1].Number;
        }

        await using var connection = await source.OpenConnectionAsync(ct);
        await Acquire(connection, ct);
        try
        {
            await Task.Run(() => Migrate(connectionString, version), ct);
            return (await Applied(source, ct)).LastOrDefault();
        }
        finally
        {
            await using var release = new NpgsqlCommand("SELECT pg_advisory_unlock($1)", connection)
            {
                Parameters = { new() { Value = Lock } },
            };
            await release.ExecuteNonQueryAsync(CancellationToken.None);
        }
    }

    /// <summary>The tables with rows that going down to <paramref name="version"/> would drop, and how many rows each has.</summary>
    public static async Task<IReadOnlyList<(string Name, string Rows)>> DeletedBy(
        string connectionString,
        long version,
        CancellationToken ct
    )
    {
        await using var source = DatabaseSetup.Source(connectionString);
        var applied = await Applied(source, ct);
        var deleted = new List<(string, string)>();
        foreach (
            var table in Known.Where(known => known.Number > version && applied.Contains(known.Number)).SelectMany(known => known.Tables)
        )
        {
            await using var count = source.CreateCommand($"SELECT count(*) FROM (SELECT FROM {table} LIMIT {MostCounted + 1}) t");
            if (await count.ExecuteScalarAsync(ct) is > 0L and var rows)
            {
                deleted.Add((table, (long)rows > MostCounted ? $"more than {MostCounted}" : $"{rows}"));
            }
        }

        return deleted;
    }

    // Each step and its history entry are one transaction.
    private static void Migrate(string connectionString, long? version)
    {
        using var services = new ServiceCollection()
            .AddFluentMigratorCore()
            .ConfigureRunner(runner =>
                runner
                    .AddPostgres()
                    .WithGlobalConnectionString(DatabaseSetup.Settings(connectionString, null, DatabaseSetup.Idle).ConnectionString)
                    .WithGlobalCommandTimeout(TimeSpan.Zero)
                    .WithVersionTable(new SchemaHistory())
                    .ScanIn(typeof(Migrator).Assembly)
                    .For.Migrations()
            )
            .BuildServiceProvider();
        var migrations = services.GetRequiredService<IMigrationRunner>();
        migrations.MigrateUp(version ?? Known[^1].Number);
        // The schema is downgraded only if a version is given explicitly.
        if (version is { } target)
        {
            migrations.MigrateDown(target);
        }
    }

    private static async Task<long[]> Applied(NpgsqlDataSource source, CancellationToken ct)
    {
        await using var command = source.CreateCommand(
            $"SELECT array_agg({SchemaHistory.Column} ORDER BY {SchemaHistory.Column}) FROM {SchemaHistory.Table}"
        );
        try
        {
            return await command.ExecuteScalarAsync(ct) as long[] ?? [];
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            return [];
        }
    }

    // Polled rather than waited for: a waiter holds a snapshot, and CREATE INDEX CONCURRENTLY waits for snapshots.
    private static async Task Acquire(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var ask = new NpgsqlCommand("SELECT pg_try_advisory_lock($1)", connection) { Parameters = { new() { Value = Lock } } };
        while (await ask.ExecuteScalarAsync(ct) is not true)
        {
            await Task.Delay(100, ct);
        }
    }
}

/// <summary>A version of the schema, and the tables that it adds.</summary>
internal sealed record SchemaVersion(long Number, string? Description, IReadOnlyList<string> Tables)
{
    public override string ToString() => $"{Number} {Description}";
}

/// <summary>The table in which the applied versions are.</summary>
internal sealed class SchemaHistory : IVersionTableMetaData
{
    public const string Table = "schema_history";
    public const string Column = "version";

    public bool OwnsSchema => false;

    public string SchemaName => "";

    public string TableName => Table;

    public string ColumnName => Column;

    public string DescriptionColumnName => "description";

    public string UniqueIndexName => "schema_history_version";

    public string AppliedOnColumnName => "applied_at";

    public bool CreateWithPrimaryKey => false;
}
