using System.Text.Json;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Experiments;

/// <summary>
/// What all changes of an experiment have in common. A first statement locks the state of the feature in the environment, which serialises
/// the changes of an experiment and of its feature. The second, in the same round trip and transaction, sees what there is after the wait.
/// It checks, changes and audits, and returns the updated experiment. Each slice supplies its own part as <c>changed</c>.
/// </summary>
internal static class ExperimentMutation
{
    /// <summary>The lock, and the experiment with its feature as they are.</summary>
    public const string Subject = $"""
        {Lock}

        {Found}
        """;

    private const string Lock = """
        SELECT s.feature_id
        FROM experiments e
        JOIN feature_states s ON s.environment_id = e.environment_id AND s.feature_id = e.feature_id
        WHERE e.id = @Id AND e.environment_id = @EnvironmentId
        FOR NO KEY UPDATE OF s;
        """;

    /// <summary>The experiment with its feature as they are, for a slice that has locked them in a way of its own.</summary>
    public const string Found = $"""
        WITH subject AS (
            SELECT e.*, {ExperimentView.State} AS state
            FROM experiments e
            WHERE e.id = @Id AND e.environment_id = @EnvironmentId AND e.deleted_at IS NULL
        ), flag AS (
            SELECT f.*, {FeatureView.State} AS state
            FROM environment_features f
            JOIN subject e ON e.feature_id = f.id AND e.environment_id = f.environment_id
        ), verdict AS (
            SELECT e.status AS before, COALESCE({ExperimentView.Tag} <> ALL (@IfMatch::text[]), false) AS stale,
                   -- Time runs forward here even when the clock does not.
                   GREATEST(clock_timestamp(), e.updated_at + interval '1 microsecond') AS at
            FROM subject e
            CROSS JOIN flag f
        )
        """;

    /// <summary>The audit entry of a change that was made.</summary>
    public const string Logged = """
        logged AS (
            INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
            SELECT c.environment_id, @Actor, @RequestId, @Address, @Action, 'experiment', c.id, s.state, c.state
            FROM changed c
            CROSS JOIN subject s
        )
        """;

    /// <summary>The same, and an entry for the feature where the slice has changed that as well, as <c>served</c>.</summary>
    public const string LoggedWithServed = $"""
        {Logged}, logged_served AS (
            INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, before, after)
            SELECT f.environment_id, @Actor, @RequestId, @Address, 'feature.updated', 'feature', f.id, flag.state, f.state
            FROM served f
            CROSS JOIN flag
        )
        """;

    /// <summary>The feature with its new state, where the slice has <c>switched</c> that.</summary>
    public const string Served = $"""
        served AS (
            SELECT f.*, {FeatureView.State} AS state
            FROM (SELECT {FeatureView.Here} FROM switched s JOIN features f ON f.id = s.feature_id) f
        )
        """;

    /// <summary>The verdict, and the experiment as it is now.</summary>
    public const string Returned = $"{ChangedOrNot} CROSS JOIN flag f";

    /// <summary>The same where the slice may have changed the feature as well.</summary>
    public const string AnswerWithServed =
        $"{ChangedOrNot} CROSS JOIN (SELECT * FROM served UNION ALL SELECT * FROM flag WHERE NOT EXISTS (SELECT FROM served)) f";

    private const string ChangedOrNot = $"""
        SELECT v.before, v.stale, EXISTS (SELECT FROM changed) AS changed, {ExperimentView.Columns}
        FROM verdict v
        CROSS JOIN (SELECT * FROM changed UNION ALL SELECT * FROM subject WHERE NOT EXISTS (SELECT FROM changed)) e
        """;

    /// <summary>The refusal that follows from what the statement found, or null when the change was made.</summary>
    public static ProblemResult? Failed(Row? row, ExperimentAction action) =>
        row switch
        {
            null => (ProblemResult)Problem.NoExperiment,
            { Stale: true } => Problem.Stale,
            { Changed: false } => new ProblemResult(Problem.IllegalTransition, IllegalMove(row.Before, action)),
            _ => null,
        };

    private static string IllegalMove(ExperimentStatus status, ExperimentAction action) =>
        Lifecycle.Allowed(status) switch
        {
            [] => $"The experiment is {Words.Of(status)}, so the action '{Words.Of(action)}' is not allowed. Create another one.",
            var allowed => $"The experiment is {Words.Of(status)}, so the action '{Words.Of(action)}' is not allowed. Allowed now:"
                + $" {string.Join(", ", allowed)}.",
        };

    internal record Row : ExperimentView
    {
        public ExperimentStatus Before { get; init; }

        public bool Stale { get; init; }

        public bool Changed { get; init; }

        /// <summary>Whether one of the variants has this key.</summary>
        public bool Has(string key)
        {
            using var variants = JsonDocument.Parse(Variants.Text, new JsonDocumentOptions { MaxDepth = 128 });
            return variants.RootElement.EnumerateArray().Any(variant => variant.GetProperty("key").ValueEquals(key));
        }
    }
}
