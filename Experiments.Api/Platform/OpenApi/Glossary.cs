using System.Collections.Frozen;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>
/// What the members of bodies and answers mean. A name means the same wherever it stands; where there is more to say, the member's own doc
/// comment says it.
/// </summary>
internal static class Glossary
{
    private const string Text = """
        aa: Whether the variants are meant to serve the same, as a test of the set-up.
        accepted: How many events were valid.
        action: What was done or is to be done.
        actor: Who did it.
        added_after_start: Whether it was attached after the experiment had started.
        adjusted: The adjusted p-values, in the order of the given ones.
        adjusted_sequential_p_value: The sequential p-value after Holm's adjustment within the family.
        after: The state after the change; null for a deletion.
        aggregation: What is taken from the events of an identity.
        alpha: The rate of false positives, from 0 to 1.
        alternative: Which differences count against the hypothesis.
        api_key: The public key of the environment.
        archived: Whether it is archived.
        arms: The arms that are compared, control first.
        as_of: Up to when events are counted.
        at: When it happened.
        baseline: What is known without the experiment.
        bayesian: The posterior of the effect.
        before: The state before the change; null for a creation.
        benjamini_hochberg_p_value: The p-value after the adjustment of Benjamini and Hochberg within the family.
        boolean_value: The value, if it is a boolean.
        breakdowns: By which traits of the first exposure results are broken down.
        bucket: The beginning of the hour or day.
        cap: The highest value that counts.
        chance_to_win: The chance that the variant is better than control, from 0 to 1.
        changed: How many values were clamped.
        ci: The interval of the relative effect, from its lower to its upper bound.
        ci_high: The upper bound of the interval of the lift.
        ci_low: The lower bound of the interval of the lift.
        close_windows: Whether windows of identities that are open are closed.
        code: The reason, for programs.
        comment: Why it ended like this.
        completed: How many are completed.
        conclusion: How it ended.
        conclusion_comment: Why it ended like this.
        config: The settings; null if there are none.
        context: Whom the flag is evaluated for.
        control: What the other arms are compared with.
        converted: How many have converted.
        count: How many there are in all.
        counting_held: Since when and why nothing is counted; null if everything is.
        covariate_cross_sum: The sum of the products of value and covariate.
        covariate_sum: The sum of the covariate.
        covariate_sum_squares: The sum of the squares of the covariate.
        created: How many have not started, or what was made.
        created_at: When it was created.
        created_by: Who created it, as the audit log names them.
        created_date: When it was created.
        cross_sum: The sum of the products of numerator and denominator.
        cuped: The adjustment by what identities did before; null without a covariate.
        cut_short: How many windows were cut short when they were closed.
        data: The items.
        day: The day, in UTC.
        days: How many days, or the single days.
        days_left: How many days are left at the rate so far; null if that is not known.
        default_enabled: Whether it is enabled in the environment.
        default_percentage_allocation: The share of identities that get the option while no experiment is active, in percent.
        definition: Which events it is about and what is taken from them.
        degrees_of_freedom: The degrees of freedom of the test.
        denominator: The other event of a ratio.
        denominator_sum: The sum of the denominator.
        denominator_sum_squares: The sum of the squares of the denominator.
        description: Free text, up to 10,000 characters.
        difference: The difference of the means, in units of the metric.
        direction: Whether more or less of it is better.
        duplicates: How many had been stored before.
        effect: The difference relative to control's mean; null if that is zero.
        email: The name of the caller.
        enabled: Whether the feature is switched on in the environment.
        ended_at: When it was completed; null before that.
        environment: The environment.
        environment_feature_state: What the feature serves in the environment.
        environments: The environments.
        error: What is wrong.
        event: The name of the event.
        event_count: How many events are stored.
        events: The events.
        events_not_counted: How many of the events received are not counted yet.
        exact: The exact posterior of a proportion.
        excluded: How many identities are excluded, by reason.
        excluded_identities: How many identities are excluded.
        expected_direction: What is expected of the metric.
        expected_loss: What is lost on average by keeping control, and by shipping the variant.
        experiment: The experiment.
        experiment_rollout: Who takes part, and what they get.
        experiments: The experiments with their ids, names and statuses.
        expires_at: When it expires; null if it does not.
        exposed: How many were exposed.
        exposed_at: When it was exposed first.
        exposure: What counts as an exposure.
        exposures: The exposures.
        feature: The feature.
        feature_name: The name of the feature.
        feature_state_value: What the feature serves.
        filters: The conditions that an event must meet to count.
        first_exposed_at: When it was exposed first.
        first_name: The first name; empty here.
        first_seen: When the first of them happened.
        flags: The flags.
        frequentist: The test at one look.
        from_exposed: How many of them came from identities that had been exposed.
        from_exposed_last_seen: When the last of those happened.
        grace_hours: For how many hours the former key is still accepted.
        granularity: Whether the points are hours or days.
        harmed_p_value: The p-value against harming less than the margin.
        held_out: How many identities the holdout keeps out.
        highest: The highest value that counts.
        hashing: How identities are assigned: `native`, or `flagsmith`, as its SDKs do when they evaluate flags themselves.
        holdout: The holdout.
        hypothesis: What the experiment is to show, up to 10,000 characters.
        id: The id.
        identifier: The identity, as the application names it.
        identities: How many identities.
        identities_per_day: How many identities come in a day.
        identity: The identity.
        ignored: The members that are not known.
        increment_by: By how much it grows.
        index: The position in the request.
        inference: How each variant compares with control; null where there is too little data.
        initial_value: The feature's own value.
        integer_value: The value, if it is an integer.
        interval: Whether the points are hours or days.
        is_final: Whether it no longer changes.
        is_healthy: Whether identities arrived in the configured proportions; null before the first.
        is_superuser: Whether the caller is an admin of the instance.
        is_truncated: Whether there are more.
        issuer: Who vouches for the subject; null if there is only one issuer.
        key: The key: of a variant or option, of an environment, or of a flag.
        kind: What kind it is.
        last_error: Why the last computation failed; null if it did not.
        last_error_at: When the last computation failed; null if it did not.
        last_name: The last name; empty here.
        last_seen: When the last of them happened.
        lift: The difference relative to control's mean.
        lower: The lower percentile, from 0 to 1.
        lowest: The lowest value that counts.
        margin: By which share of control's mean it may get worse and still be called safe, from 0 to 1.
        mean: The mean.
        metadata: An object of the client's own, or what the service adds.
        method: The method of adjustment.
        metric: The id of the metric.
        metric_id: The id of the metric.
        metric_name: The name of the metric when it was attached.
        metrics: The metrics.
        minimum_detectable_effect: The smallest relative effect that is to be found.
        multivariate_feature_option: The id of an option of the feature.
        multivariate_feature_state_values: The shares of the options; control takes the rest.
        multivariate_options: The options besides the feature's own value.
        n: The number of identities.
        name: The name, up to 255 characters.
        needed: How many identities are needed.
        new_identities: How many identities came first in this time, by variant.
        next: The address of the next page; null on the last.
        object_id: The id of the object.
        object_type: What kind of object it is.
        of: Whose percentiles: of all identities, or of those with a value.
        operator: How the value is compared.
        options: The options.
        organisation: The organisation.
        p_value: The p-value of one look.
        p_values: P-values from 0 to 1.
        paused: How many are paused.
        payload: What was computed.
        per_arm: How many identities each arm needs.
        percentage: The share of all identities, in percent.
        percentage_allocation: The share of the option, in percent.
        points: The points in time, oldest first.
        power: The chance to find the effect if there is one, from 0 to 1.
        previous: The address of the page before; null on the first.
        prior: What is believed before the data.
        progress: How far the plan has been fulfilled; null without a plan.
        project: The project.
        projects: The projects.
        proper: Whether the prior is a proper distribution.
        property: Where the value is: `value`, or `metadata.` and the name of a member.
        quantile: Which quantile, from 0 to 1.
        reached_steps: How many identities have reached each step.
        reason: Why.
        recommendation: What to do, and why.
        recommended_sample_size: How many identities over all arms.
        refresh_requested_at: When a refresh was requested last; null if it was not.
        rejected: What is wrong with the events that were rejected.
        rejected_count: How many events were rejected.
        reset_at: When it was reset.
        reset_by: Who reset it.
        rest: All others.
        rest_over_held_out: How the others compare with those held out.
        result: The answer.
        results: What was found.
        revoked_at: When it was revoked; null if it was not.
        role: The role.
        rollout_percentage: The share of identities that take part, in percent.
        running: How many are running.
        safe_p_value: The p-value against harming by the margin or more.
        sample_ratio: Whether identities arrived in the configured proportions.
        sample_size: How many identities; null if the baseline does not say.
        scopes: What the key may do.
        sequential: The test that is valid at any number of looks.
        sequential_ci: The interval of the effect that is valid at any number of looks.
        sequential_p_value: The p-value that is valid at any number of looks.
        series: New identities over time.
        share: The share, from 0 to 1.
        ship: The key of the variant whose value becomes the feature's own.
        shipped_variant: The key of the variant that was shipped; null if none was.
        since: Since when.
        source: Where it comes from.
        split: The weights of the variants.
        srm_p_value: The p-value of the sample ratio.
        standard_error: The standard error of the mean or of the difference, in units of the metric.
        started_at: When it was started first; null before that.
        status: The status.
        status_counts: How many match in each status, whatever status was asked for.
        status_detail: More about the status.
        string_value: The value, if it is a string.
        subject: The subject of the tokens of a person or a service.
        sum: The sum of the values.
        sum_squares: The sum of the squares of the values.
        targetingKey: The identity.
        text: As a sentence or as text.
        theta: The coefficient of the covariate.
        timeseries: New identities over time.
        timestamp: When it happened, in milliseconds since 1970.
        total: How many in all.
        total_events_received: How many events have been received.
        trait: The name of the trait.
        trait_key: The name of the trait.
        trait_value: The value of the trait.
        traits: What the application knows of the identity.
        transforms: What the variant changes on a page.
        transient: Ignored: no trait is kept.
        treatments: Each variant compared with control.
        tuning: For how many identities the sequential test is tuned to be narrowest.
        type: The type.
        unit: What is assigned and analysed; null for identities.
        unique_events_count: How many different events have been received.
        updated_at: When it was changed last.
        upper: The upper percentile, from 0 to 1.
        uuid: An id that is unique among all.
        value: The value.
        values: The values.
        variance: The variance.
        variant: The key of the variant.
        variants: The variants, control first.
        verdict: The verdict.
        waiting: How many wait for the end of their windows.
        warehouse_type: The kind of the store.
        warnings: What a reader should know.
        weight: The share of the variant, in percent.
        weights: The shares of the arms, control first.
        """;

    private static readonly FrozenDictionary<string, string> Meanings = Text.Split('\n')
        .Select(line => line.Split(": ", 2))
        .ToFrozenDictionary(entry => entry[0], entry => entry[1]);

    /// <summary>What the member means; null if it is not listed.</summary>
    public static string? Of(string member) => Meanings.GetValueOrDefault(member);
}
