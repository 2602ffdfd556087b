using System.Reflection;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Npgsql;

namespace Experiments.Tests.Architecture;

/// <summary>
/// Statements share pieces, such as the columns of an experiment or the steps of its changes, which name tables and CTEs of each other.
/// PostgreSQL checks here that every whole statement fits together, without running it.
/// </summary>
public class StatementTests(TestCluster cluster)
{
    private static readonly IReadOnlyList<(string Name, string Sql)> Constants =
    [
        .. typeof(Problem)
            .Assembly.GetTypes()
            .SelectMany(type =>
                type.GetFields(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly)
                    .Where(field => field.IsLiteral && field.FieldType == typeof(string))
                    .Select(field => ($"{type.FullName}.{field.Name}", (string)field.GetRawConstantValue()!))
            ),
    ];

    private static readonly string[] DependsOnValues =
    [
        PostgresErrorCodes.IndeterminateDatatype,
        PostgresErrorCodes.AmbiguousParameter,
        PostgresErrorCodes.AmbiguousFunction,
    ];

    private static readonly string[] Verbs = ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"];

    [Fact]
    public void Every_audit_entry_names_the_request_except_those_of_the_service_itself()
    {
        var entries = Constants
            .SelectMany(constant =>
                constant
                    .Sql.Split("INSERT INTO audit_log")
                    .Skip(1)
                    .Select(rest => (constant.Name, Text: rest[..Math.Min(rest.Length, 250)]))
            )
            .ToList();

        entries.Count.ShouldBeGreaterThan(30);
        entries
            .Where(entry => !entry.Text.Contains("@Actor, @RequestId, @Address", StringComparison.Ordinal))
            .Select(entry => entry.Name)
            .ShouldBeEmpty();
    }

    [Fact]
    public async Task Every_statement_of_the_service_is_one_that_the_schema_understands()
    {
        await using var connection = new NpgsqlConnection(await cluster.NewDatabase());
        await connection.OpenAsync();
        var (statements, undecided, wrong) = (0, 0, new List<string>());

        foreach (var (name, sql) in Constants)
        {
            foreach (var statement in sql.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                var text = PositionalSql.Number(statement).Sql;
                if (!Verbs.Any(verb => WithoutComments(text).StartsWith(verb + " ", StringComparison.Ordinal)) || IsPiece(statement))
                {
                    continue;
                }

                statements++;
                try
                {
                    await using var prepare = new NpgsqlCommand($"PREPARE statement_{statements} AS {text}", connection);
                    await prepare.ExecuteNonQueryAsync();
                }
                catch (PostgresException exception) when (DependsOnValues.Contains(exception.SqlState))
                {
                    // Its parameters only have types once they have values.
                    undecided++;
                }
                catch (PostgresException exception)
                {
                    wrong.Add($"{name}: {exception.MessageText}\n{text}");
                }
            }
        }

        wrong.ShouldBeEmpty();
        (statements - undecided).ShouldBeGreaterThanOrEqualTo(70);
    }

    // A piece is only understood within its statement, which is checked itself.
    private static bool IsPiece(string text) => Constants.Any(whole => whole.Sql.Length > text.Length && whole.Sql.Contains(text));

    private static string WithoutComments(string text) =>
        string.Join('\n', text.Split('\n').Where(line => !line.TrimStart().StartsWith("--", StringComparison.Ordinal))).TrimStart();
}
