using System.Reflection;
using System.Text.RegularExpressions;
using Experiments.Api.Platform.Data;
using Experiments.Api.Slices.Cohorts;
using Experiments.Api.Slices.Events;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Holdouts;

namespace Experiments.Bench;

/// <summary>The product's own SQL, so that the twins and pgbench run what the service runs.</summary>
internal static partial class Statements
{
    public static string Get { get; } = Of(typeof(GetExperiment.Handler));

    public static string List { get; } = Of(typeof(ListExperiments.Handler));

    public static string Create { get; } = Of(typeof(CreateExperiment.Handler));

    /// <summary>The lock and the change, as one text.</summary>
    public static string Start { get; } = Of(typeof(StartExperiment.Handler));

    public static string GetHoldout { get; } = Of(typeof(GetHoldout.Handler));

    public static string ListHoldouts { get; } = Of(typeof(ListHoldouts.Handler));

    public static string CreateHoldout { get; } = Of(typeof(CreateHoldout.Handler));

    public static string GetCohort { get; } = Of(typeof(GetCohort.Handler));

    public static string ListMembers { get; } = Of(typeof(ListMembers.Handler));

    public static string ListEventNames { get; } = Of(typeof(ListEventNames.Handler));

    public static string Duplicate { get; } = Of(typeof(DuplicateExperiment.Handler));

    /// <summary>The statements of a text with positional parameters, each with the names of its own in order.</summary>
    public static IReadOnlyList<(string Sql, IReadOnlyList<string> Names)> Positional(string sql) =>
        [.. sql.Split(';').Select(PositionalSql.Number)];

    /// <summary>The same text for pgbench: what changes from call to call is a variable of its, the rest stands in the text.</summary>
    public static string ForPgbench(string sql, params (string Name, string Value)[] values)
    {
        var text = values.Aggregate(sql, (current, pair) => Regex.Replace(current, $@"@{pair.Name}\b", pair.Value));
        // Who makes a change, which the audit log keeps.
        text = LineComment().Replace(Regex.Replace(text, "@(RequestId|Address)\\b", "NULL::text"), "");
        if (Regex.Match(text, @"@(?!>)[A-Za-z]\w*") is { Success: true } missing)
        {
            throw new ArgumentException($"The benchmark gives no {missing.Value}: {sql}");
        }

        return text.Contains(';', StringComparison.Ordinal) ? $"\\startpipeline\n{text};\n\\endpipeline\n" : $"{text};\n";
    }

    private static string Of(Type handler) =>
        (string)handler.GetField("Sql", BindingFlags.NonPublic | BindingFlags.Static)!.GetRawConstantValue()!;

    [GeneratedRegex("--.*")]
    private static partial Regex LineComment();
}
