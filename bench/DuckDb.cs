using System.Globalization;
using Npgsql;

namespace Experiments.Bench;

/// <summary>The plain query in DuckDB, from npm, over the same events in its memory: what a full scan can cost at best.</summary>
internal static class DuckDb
{
    private static readonly string Scripts = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../duckdb"));

    /// <summary>Milliseconds, at best of three, without those that it takes to read the events in.</summary>
    public static async Task<double> Scan(NpgsqlDataSource source)
    {
        if (!Directory.Exists(Path.Combine(Scripts, "node_modules")))
        {
            await Load.Run("npm", ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", Scripts]);
        }

        var file = Path.GetTempFileName();
        try
        {
            await using (var connection = await source.OpenConnectionAsync())
            await using (var text = File.CreateText(file))
            {
                using var rows = await connection.BeginTextExportAsync(
                    "COPY (SELECT identifier, event, at, value FROM events WHERE environment_id = 1) TO STDOUT (FORMAT csv)"
                );
                var buffer = new char[1 << 16];
                for (int read; (read = await rows.ReadAsync(buffer)) > 0; )
                {
                    await text.WriteAsync(buffer.AsMemory(0, read));
                }
            }

            return double.Parse(await Load.Run("node", [Path.Combine(Scripts, "scan.mjs"), file]), CultureInfo.InvariantCulture);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
