using Npgsql;

namespace Experiments.Bench;

/// <summary>10 000 experiments over 50 environments to read, and a pool to write to, which is put back between runs.</summary>
internal sealed class Seed(NpgsqlDataSource source, string directory)
{
    public const int Pool = 90_000;

    public string Reads => Path.Combine(directory, "get.txt");

    public string Lists => Path.Combine(directory, "list.txt");

    public string Creates => Path.Combine(directory, "create.txt");

    public string Starts => Path.Combine(directory, "start.txt");

    public string HoldoutReads => Path.Combine(directory, "get-holdout.txt");

    public string HoldoutLists => Path.Combine(directory, "list-holdouts.txt");

    public string HoldoutCreates => Path.Combine(directory, "create-holdout.txt");

    public string CohortReads => Path.Combine(directory, "get-cohort.txt");

    public string MemberLists => Path.Combine(directory, "list-members.txt");

    public string NameLists => Path.Combine(directory, "list-names.txt");

    public string Duplicates => Path.Combine(directory, "duplicate.txt");

    /// <summary>The first of <see cref="Pool"/> features in a row that have no experiment.</summary>
    public long FirstFeature { get; private set; }

    /// <summary>The first of <see cref="Pool"/> experiments in a row that are not started.</summary>
    public long FirstExperiment { get; private set; }

    public async Task Plant()
    {
        await Execute(
            """
            INSERT INTO projects (name, organisation) SELECT 'bench ' || n, 'bench' FROM generate_series(1, 51) n;
            INSERT INTO environments (project_id, name, key) SELECT n, 'e' || n, 'environment-' || n FROM generate_series(1, 51) n;
            INSERT INTO features (project_id, name, default_value, options)
                SELECT 1 + n % 50, 'feature ' || n, '"blue"',
                       jsonb_build_array(jsonb_build_object('id', nextval('feature_option_ids'), 'key', 'green', 'value', 'green'))
                FROM generate_series(1, 10000) n;
            UPDATE feature_states SET enabled = true;
            INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by)
                SELECT environment_id, id, 'Experiment ' || id, 'It sells more.', variants_of(initial_value, multivariate_options, NULL),
                    'bench' FROM environment_features ORDER BY id;
            """
        );
        // The pool stands in an environment of its own, so that lists are as long as they should be.
        await Execute(
            $"""
            INSERT INTO features (project_id, name, default_value, options)
                SELECT 51, 'pool ' || n, '"blue"',
                       jsonb_build_array(jsonb_build_object('id', nextval('feature_option_ids'), 'key', 'green', 'value', 'green'))
                FROM generate_series(1, {2 * Pool}) n;
            """
        );
        FirstFeature = await Scalar("SELECT min(id) FROM features WHERE project_id = 51");
        await Execute(
            $"""
            INSERT INTO experiments (environment_id, feature_id, name, hypothesis, variants, created_by)
                SELECT 51, id, 'Experiment ' || id, 'It sells more.', variants_of(initial_value, multivariate_options, NULL), 'bench'
                FROM environment_features WHERE id >= {FirstFeature + Pool} ORDER BY id;
            """
        );
        FirstExperiment = await Scalar("SELECT min(id) FROM experiments WHERE environment_id = 51");

        // Of each hundred experiments one has a cohort, and a thousand members.
        await Execute(
            """
            INSERT INTO holdouts (environment_id, name, percentage, created_by) SELECT 1 + n % 50, 'Holdout ' || n, 5, 'bench'
            FROM generate_series(1, 10000) n;
            INSERT INTO cohorts (environment_id, experiment_id, name, created_by) SELECT environment_id, id, 'Cohort ' || id, 'bench'
            FROM experiments WHERE id <= 10000 AND id % 100 = 0 ORDER BY id;
            INSERT INTO exposures (experiment_id, identity, identifier, assigned_variants, shown_variants, seen_at, first_shown,
                enrolled_at, counts_in)
                SELECT c.experiment_id, gen_random_uuid(), 'user-' || n, 1 << (n % 2), 1 << (n % 2), now(), n % 2, now(), n % 2
                FROM cohorts c, generate_series(1, 1000) n;
            INSERT INTO exposure_counts (experiment_id, hour, outcome, count) SELECT experiment_id, date_trunc('hour', now()),
                'variant:' || key, 500 FROM cohorts, unnest('{control,green}'::text[]) key;
            INSERT INTO event_names (environment_id, event, count, first_seen, last_seen) SELECT e.id, 'event ' || n, n,
                now() - interval '1 day', now() FROM environments e, generate_series(1, 100) n;
            """
        );
        await Execute("VACUUM ANALYZE");
        // What was planted is written now, and not while the first row is measured.
        await Execute("CHECKPOINT");

        await File.WriteAllLinesAsync(
            HoldoutReads,
            Enumerable.Range(1, 10_000).Select(id => $"GET /api/v1/environments/environment-{1 + (id % 50)}/holdouts/{id}")
        );
        await File.WriteAllLinesAsync(
            HoldoutLists,
            Enumerable.Range(1, 50).Select(n => $"GET /api/v1/environments/environment-{n}/holdouts")
        );
        await File.WriteAllLinesAsync(
            HoldoutCreates,
            Enumerable
                .Range(0, Pool)
                .Select(n => $$"""POST /api/v1/environments/environment-51/holdouts {"name": "Holdout {{n}}", "percentage": 5}""")
        );
        // Those of a hundredth id all stand in the first environment.
        await File.WriteAllLinesAsync(
            CohortReads,
            Enumerable.Range(1, 100).Select(id => $"GET /api/v1/environments/environment-1/cohorts/{id}")
        );
        await File.WriteAllLinesAsync(
            MemberLists,
            Enumerable.Range(1, 100).Select(id => $"GET /api/v1/environments/environment-1/cohorts/{id}/members")
        );
        await File.WriteAllLinesAsync(
            NameLists,
            Enumerable.Range(1, 50).Select(n => $"GET /api/v1/environments/environment-{n}/events/names")
        );
        await File.WriteAllLinesAsync(
            Duplicates,
            Enumerable
                .Range(0, Pool)
                .Select(n =>
                    $$"""POST /api/v1/environments/environment-51/experiments/{{FirstExperiment}}/duplicate {"feature":"""
                    + $$""" {{FirstFeature + n}}}"""
                )
        );
        await File.WriteAllLinesAsync(
            Reads,
            Enumerable.Range(1, 10_000).Select(id => $"GET /api/v1/environments/environment-{1 + (id % 50)}/experiments/{id}")
        );
        await File.WriteAllLinesAsync(Lists, Enumerable.Range(1, 50).Select(n => $"GET /api/v1/environments/environment-{n}/experiments"));
        await File.WriteAllLinesAsync(
            Creates,
            Enumerable
                .Range(0, Pool)
                .Select(n =>
                    $$"""POST /api/v1/environments/environment-51/experiments {"name": "Experiment {{n}}", "hypothesis": "It"""
                    + $$""" sells more.", "feature": {{FirstFeature + n}}}"""
                )
        );
        await File.WriteAllLinesAsync(
            Starts,
            Enumerable.Range(0, Pool).Select(n => $"POST /api/v1/environments/environment-51/experiments/{FirstExperiment + n}/start")
        );
        await PutBack();
    }

    /// <summary>Undoes what a run has written, so that each starts from the same.</summary>
    public async Task PutBack()
    {
        await Execute(
            $"""
            DELETE FROM experiments WHERE id >= {FirstExperiment + Pool};
            DELETE FROM holdouts WHERE environment_id = 51;
            UPDATE experiments SET status = 'created', started_at = NULL, runs = '{"{}"}', version = 1
            WHERE environment_id = 51 AND status <> 'created';
            UPDATE feature_states SET enabled = false, version = 1 WHERE environment_id = 51 AND enabled;
            """
        );
        await Execute("VACUUM ANALYZE experiments");
        await Execute("VACUUM ANALYZE features, feature_states");
        await Execute("CHECKPOINT");
    }

    private async Task Execute(string sql)
    {
        await using var command = source.CreateCommand(sql);
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync();
    }

    private async Task<long> Scalar(string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
