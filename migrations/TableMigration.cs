using FluentMigrator;

namespace Experiments.Migrations;

/// <summary>A schema migration in hand-written SQL that declares its tables.</summary>
public abstract class TableMigration : Migration
{
    /// <summary>
    /// The tables that <see cref="MigrationBase.Up"/> creates and <see cref="MigrationBase.Down"/> drops, each after those that it refers
    /// to.
    /// </summary>
    public abstract IReadOnlyList<string> Tables { get; }

    /// <summary>Drops the tables with everything in them, those first that refer to others.</summary>
    protected void DropTables() => Execute.Sql(string.Concat(Tables.Reverse().Select(table => $"DROP TABLE {table};")));
}
