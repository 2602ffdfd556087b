using System.Reflection;

namespace Experiments.Api.Platform;

/// <summary>
/// A kind of error. The code is stable: clients may rely on it. The advice says what to do next. <c>docs/errors.md</c> and the page
/// <c>/errors</c> are generated from this list.
/// </summary>
internal sealed partial record Problem(int Status, string Code, string Advice)
{
    public static readonly Problem Malformed = new(
        400,
        "request.malformed",
        "The request could not be read. Correct what 'errors' or 'detail' names and send it again."
    );
    public static readonly Problem Invalid = new(
        400,
        "request.invalid",
        "One or more fields break a rule. Correct the fields named in 'errors' and send the request again."
    );

    public static readonly Problem NoCredential = new(
        401,
        "credential.missing",
        "Send 'Authorization: Api-Key <secret>' or 'Authorization: Bearer <token>'."
    );
    public static readonly Problem BadCredential = new(
        401,
        "credential.invalid",
        "The credential is unknown, expired or revoked. Obtain a new one and send it in a single Authorization header."
    );
    public static readonly Problem SignInCodeUsed = new(
        404,
        "sign_in_code.used",
        "This address has been used, or the service was restarted since. Take the one it printed last, or sign in with an API key."
    );
    public static readonly Problem NoEnvironmentKey = new(
        401,
        "environment_key.missing",
        "Send the environment's key in the header X-Environment-Key."
    );
    public static readonly Problem Forbidden = new(
        403,
        "access.denied",
        "The project or environment doesn't exist, or you don't have access to it. Check the address, or ask one of its admins to add you."
    );
    public static readonly Problem RoleTooLow = new(403, "access.role", "This needs another role than yours. Ask an admin for it.");

    public static readonly Problem UnknownEnvironmentKey = new(
        403,
        "environment_key.unknown",
        "No environment has this key. Copy the key from the list of environments."
    );
    public static readonly Problem GateClosed = new(
        404,
        "gate.closed",
        "Experiments are not enabled here yet. Ask the operator to enable the feature flag 'experimental_flags' for you, this "
            + "environment, its project or its organisation."
    );
    public static readonly Problem NoRoute = new(
        404,
        "route.not_found",
        "No endpoint has this address. See /openapi/v1.json for all endpoints."
    );
    public static readonly Problem NoPage = new(404, "page.not_found", "The list has no such page. Start from page 1 and follow 'next'.");
    public static readonly Problem NoEnvironment = new(
        404,
        "environment.not_found",
        "The project has no such environment. List its environments to find the right id."
    );
    public static readonly Problem NoExperiment = new(
        404,
        "experiment.not_found",
        "This environment has no such experiment. List the experiments to find the right id."
    );
    public static readonly Problem NoFeature = new(
        404,
        "feature.not_found",
        "This environment has no such feature. List the features to find the right id."
    );
    public static readonly Problem NoMetric = new(
        404,
        "metric.not_found",
        "This environment has no such metric. List the metrics to find the right id."
    );
    public static readonly Problem NoHoldout = new(
        404,
        "holdout.not_found",
        "This environment has no such holdout. List the holdouts to find the right id."
    );
    public static readonly Problem NoCohort = new(
        404,
        "cohort.not_found",
        "This environment has no such cohort. List the cohorts to find the right id."
    );
    public static readonly Problem NoExperimentMetric = new(
        404,
        "experiment_metric.not_found",
        "The experiment has no such metric. List the experiment's metrics to find the right id."
    );
    public static readonly Problem NoWarehouseConnection = new(
        404,
        "warehouse_connection.not_found",
        "The project has no such warehouse connection. List the connections to find the right id."
    );
    public static readonly Problem NoAdmin = new(
        404,
        "admin.not_found",
        "There is no such admin here. List the admins to find the right id."
    );
    public static readonly Problem NoApiKey = new(
        404,
        "api_key.not_found",
        "There is no active API key with this id here. List the API keys to find the right id."
    );
    public static readonly Problem WrongMethod = new(
        405,
        "method.not_allowed",
        "This address doesn't support the method. Use one of those in the Allow header."
    );
    public static readonly Problem TooSlow = new(
        408,
        "request.too_slow",
        "The body didn't arrive in time. Send it again over a better connection."
    );
    public static readonly Problem Stale = new(
        412,
        "etag.stale",
        "The object has changed since you read it. Read it again and send its new ETag in If-Match."
    );
    public static readonly Problem TooLarge = new(
        413,
        "body.too_large",
        "A request body can be at most 1 MiB; for events, at most 5 MiB after decompression. Send less at a time."
    );
    public static readonly Problem WrongMediaType = new(
        415,
        "media_type.unsupported",
        "Send a body of 'Content-Type: application/json' in UTF-8, without Content-Encoding. Events may also be text/plain or a form, and "
            + "compressed with gzip, br or deflate."
    );
    public static readonly Problem WarehouseFailed = new(
        422,
        "warehouse.failed",
        "The warehouse can't be read. Mend what 'detail' names and try again."
    );
    public static readonly Problem KeyReused = new(
        422,
        "idempotency_key.reused",
        "This Idempotency-Key was used for another request in the last 24 hours. Use a new key."
    );
    public static readonly Problem TooSoon = new(
        429,
        "results.too_soon",
        "A refresh was requested recently. Request it again after the seconds in Retry-After, or read the current results."
    );
    public static readonly Problem TooMany = new(
        429,
        "request.too_many",
        "You are sending too many requests. Retry after the seconds in Retry-After."
    );
    public static readonly Problem TooMuchAtOnce = new(
        429,
        "events.too_much_at_once",
        "Too many events of this environment or from this address are being received at once. Retry after the seconds in Retry-After."
    );
    public static readonly Problem ResultsFailed = new(
        500,
        "results.failed",
        "The results could not be computed. See the service log for the reason."
    );
    public static readonly Problem Failed = new(500, "service.failed", "An internal error occurred. Report the trace_id to the operator.");
    public static readonly Problem Unavailable = new(
        503,
        "service.unavailable",
        "The database is unavailable, busy or starting. Retry after the seconds in Retry-After, with the same Idempotency-Key if "
            + "you sent one."
    );

    /// <summary>Every problem that the service can answer with, by status.</summary>
    public static IReadOnlyList<Problem> All =>
        field ??= [
            .. typeof(Problem)
                .GetFields(BindingFlags.Public | BindingFlags.Static)
                .Select(member => member.GetValue(null))
                .OfType<Problem>()
                .OrderBy(problem => problem.Status),
        ];
}
