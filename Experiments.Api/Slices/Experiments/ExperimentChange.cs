using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Wire;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// What every change of an experiment shares: one statement that locks the feature and then the experiment, judges, changes,
/// logs, and answers with the experiment as it is afterwards. The slice writes the part that is its own, as <c>changed</c>.
/// <para>
/// A change that had to wait reads the newest version in <c>subject</c>, but PostgreSQL tries the new row against the table's
/// checks once on top of the version from before the wait, and only then on top of the newest. So <c>changed</c> sets every
/// column of a check from <c>subject</c>, even one that stays as it is.
/// </para>
/// </summary>
internal static class ExperimentChange
{
    /// <summary>The experiment and its feature, locked in one order everywhere so that no two changes wait for each other.</summary>
    public const string Subject =
        $"""
        WITH flag AS (
            SELECT f.*
            FROM experiments e
            JOIN features f ON f.id = e.feature_id
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId
            FOR NO KEY UPDATE OF f
        ), subject AS (
            SELECT e.*, audited(e) AS state
            FROM experiments e
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL AND EXISTS (SELECT FROM flag)
            FOR UPDATE
        ), verdict AS (
            SELECT e.status AS before, COALESCE({ExperimentView.Tag} <> ALL (@IfMatch::text[]), false) AS stale,
                   GREATEST(clock_timestamp(), e.updated_at) AS at
            FROM subject e
            CROSS JOIN flag f
        )
        """;

    /// <summary>The audit entry of a change that was made.</summary>
    public const string Logged =
        """
        logged AS (
            INSERT INTO audit_log (environment_id, actor, action, object_type, object_id, before, after)
            SELECT c.environment_id, @Actor, @Action, 'experiment', c.id, s.state, c.state
            FROM changed c
            CROSS JOIN subject s
        )
        """;

    /// <summary>The verdict, and the experiment as it is now.</summary>
    public const string Answer =
        $"""
        SELECT v.before, v.stale, EXISTS (SELECT FROM changed) AS changed, {ExperimentView.Columns}
        FROM verdict v
        CROSS JOIN (SELECT * FROM changed UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM changed)) e
        CROSS JOIN flag f
        """;

    /// <summary>The same where the slice may have changed the feature as well, as <c>served</c>.</summary>
    public const string AnswerWithServed =
        $"""
        SELECT v.before, v.stale, EXISTS (SELECT FROM changed) AS changed, {ExperimentView.Columns}
        FROM verdict v
        CROSS JOIN (SELECT * FROM changed UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM changed)) e
        CROSS JOIN (SELECT * FROM served UNION ALL SELECT * FROM flag WHERE NOT EXISTS (SELECT FROM served)) f
        """;

    /// <summary>The refusal that follows from what the statement found, or null when the change was made.</summary>
    public static Refusal? Refused(Row? row, ExperimentAction action) => row switch
    {
        null => (Refusal)Problem.NoExperiment,
        { Stale: true } => Problem.Stale,
        { Changed: false } => new Refusal(Problem.IllegalTransition, IllegalMove(row.Before, action)),
        _ => null,
    };

    private static string IllegalMove(ExperimentStatus status, ExperimentAction action) => Lifecycle.Allowed(status) switch
    {
        [] => $"The experiment is {Lifecycle.Word(status)}, which is final; to {Lifecycle.Word(action)} it is not possible. Create another one.",
        var allowed => $"The experiment is {Lifecycle.Word(status)}; to {Lifecycle.Word(action)} it is not possible. Possible now: {string.Join(", ", allowed)}.",
    };

    internal sealed record Row : ExperimentView
    {
        public ExperimentStatus Before { get; init; }

        public bool Stale { get; init; }

        public bool Changed { get; init; }

        /// <summary>Whether one of the variants has this key.</summary>
        public bool Has(string key) =>
            JsonSerializer.Deserialize<IReadOnlyList<Variant>>(Variants.Text, WireJson.Options)!.Any(variant => variant.Key == key);
    }
}
