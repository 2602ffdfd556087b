namespace Experiments.Api.Platform;

// What the state of things does not allow.
internal sealed partial record Problem
{
    public static readonly Problem WarehousesOff = new(
        409,
        "warehouse.off",
        "Warehouses are switched off here. Ask the operator to set Warehouse:AllowedHosts."
    );
    public static readonly Problem NoSource = new(
        409,
        "experiment.no_source",
        "The experiment is counted from the events that are sent to the service. Set 'source' to count it from a warehouse."
    );
    public static readonly Problem ConnectionDeleted = new(
        409,
        "experiment.connection_deleted",
        "The warehouse connection of this experiment has been deleted, so a copy could not be counted. Create an experiment with a source."
    );
    public static readonly Problem WarehouseConnectionInUse = new(
        409,
        "warehouse_connection.in_use",
        "An experiment that is not final is counted from this connection, so it can't be deleted. Complete the experiment, and wait until "
            + "its results are final, or delete the experiment."
    );
    public static readonly Problem WarehouseConnectionNameTaken = new(
        409,
        "warehouse_connection.name_taken",
        "The project already has a warehouse connection with this name. Choose another one."
    );
    public static readonly Problem AlreadyActive = new(
        409,
        "experiment.already_active",
        "The feature already has an active experiment. Complete or delete that one first."
    );
    public static readonly Problem IllegalTransition = new(
        409,
        "experiment.illegal_transition",
        "The experiment's status does not allow this action. Use one of the actions named in 'detail'."
    );
    public static readonly Problem ExperimentRunning = new(
        409,
        "experiment.running",
        "A running experiment can't be deleted or archived. Pause or complete it first."
    );
    public static readonly Problem ExperimentOver = new(
        409,
        "experiment.completed",
        "The experiment is completed, so this is no longer possible. Create another one."
    );
    public static readonly Problem NothingToCompare = new(
        409,
        "experiment.nothing_to_compare",
        "All variants serve the same, so there is nothing to compare. Give them different values or transforms, or set 'aa' to true if "
            + "this is a test of the set-up."
    );
    public static readonly Problem HeldByHoldout = new(
        409,
        "experiment.other_holdout",
        "The identities of a holdout keep a former value of this feature, so an experiment on it needs the same holdout: see "
            + "'held_value' of the feature. Give it that holdout, retire the holdout, or set the feature's 'initial_value'."
    );
    public static readonly Problem SplitFrozen = new(
        409,
        "experiment.split_frozen",
        "The experiment has started, so its split is fixed; the rollout percentage may change. To compare another split, complete "
            + "this experiment and create another one."
    );
    public static readonly Problem SettingsFrozen = new(
        409,
        "experiment.settings_frozen",
        "The experiment has started, so its variants, its holdout and what counts as an exposure are fixed. Reset it if it was "
            + "started by mistake, or create another one."
    );
    public static readonly Problem MetricInUse = new(
        409,
        "metric.in_use",
        "An active experiment uses this metric, so it can't be changed. Complete the experiment first, or create another metric."
    );
    public static readonly Problem HoldoutInUse = new(
        409,
        "holdout.in_use",
        "An experiment with this holdout is running or paused, so it can't be retired or deleted. Complete the experiment first."
    );
    public static readonly Problem HoldoutFixed = new(
        409,
        "holdout.fixed",
        "An experiment has started with this holdout, so its percentage is fixed. Create another one for new experiments."
    );
    public static readonly Problem HoldoutRetired = new(409, "holdout.retired", "The holdout is retired. Create another one.");
    public static readonly Problem CohortExists = new(
        409,
        "cohort.already_exists",
        "The experiment already has a cohort. List the cohorts to find it."
    );
    public static readonly Problem NeverStarted = new(409, "experiment.not_started", "The experiment has not started. Start it first.");
    public static readonly Problem NoBaseline = new(
        409,
        "plan.no_baseline",
        "There is no baseline data yet. Give the experiment a primary metric and send its events for a few days."
    );
    public static readonly Problem ImportRefused = new(
        409,
        "import.refused",
        "Nothing was imported. 'detail' names the features that conflict with the document."
    );
    public static readonly Problem MetricAttached = new(
        409,
        "metric.already_attached",
        "The metric is already attached to the experiment. No action is needed."
    );
    public static readonly Problem PrimaryTaken = new(
        409,
        "metric.primary_taken",
        "The experiment already has a primary metric. Attach this one as secondary or guardrail."
    );
    public static readonly Problem MetricsFrozen = new(
        409,
        "experiment.metrics_frozen",
        "The experiment has started: its primary metric and its guardrails are fixed. Secondary metrics may be added while it is "
            + "not completed."
    );
    public static readonly Problem NotStarted = new(
        409,
        "results.not_started",
        "The experiment has not started, so there are no results. Start it first."
    );
    public static readonly Problem ResultsFinal = new(
        409,
        "results.final",
        "The experiment is completed and the time for late events is over: these results are final."
    );
    public static readonly Problem BackfillPending = new(
        409,
        "results.backfill_pending",
        "The events from before this metric was attached are still being counted. Try again in a minute."
    );
    public static readonly Problem DefinitionsUnreadable = new(
        409,
        "environment.definitions_unreadable",
        "A definition can't be read by this release, so its results could not be corrected. Upgrade the service, or correct it first."
    );
    public static readonly Problem KeyJustRotated = new(
        409,
        "environment.key_just_rotated",
        "The key was replaced, and the one before is still accepted. Wait until former_key_until, or end that time with grace_hours 0."
    );
    public static readonly Problem FeatureLocked = new(
        409,
        "feature.locked",
        "An experiment on this feature is running or paused: only 'enabled' may change. Complete the experiment first."
    );
    public static readonly Problem FeatureInUse = new(
        409,
        "feature.in_use",
        "An active experiment uses this feature. Complete or delete that experiment first."
    );
    public static readonly Problem FeatureNameTaken = new(
        409,
        "feature.name_taken",
        "This project already has a feature with this name, or one that SDKs take for it. Choose another name, or use that feature."
    );
    public static readonly Problem AdminExists = new(
        409,
        "admin.already_added",
        "The subject is already an admin here. No action is needed."
    );
    public static readonly Problem ExperimentsRunning = new(
        409,
        "environment.experiments_running",
        "An experiment is running there. Pause or complete it first."
    );
    public static readonly Problem EnvironmentNameTaken = new(
        409,
        "environment.name_taken",
        "The project already has an environment with this name. Choose another name, or use that environment."
    );
}
