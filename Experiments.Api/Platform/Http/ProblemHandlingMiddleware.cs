using System.Diagnostics;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Microsoft.Extensions.Options;
using Npgsql;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// Common handling of every request: its id, its deadline, and a response to any failure.
/// </summary>
internal sealed class ProblemHandlingMiddleware(
    RequestDelegate next,
    IOptions<RequestOptions> options,
    Readiness readiness,
    Instruments instruments,
    ILogger<ProblemHandlingMiddleware> logger
)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var response = context.Response;
        using var trace = Continue(context.Request);
        Stamp(context);
        if (readiness.IsDraining)
        {
            response.Headers.Connection = "close";
        }

        var deadline = LimitOf(context) is { } limit ? Deadline.Begin(context, limit) : null;
        try
        {
            await next(context);
            if (response.StatusCode >= 400 && !response.HasStarted && response.ContentLength is null)
            {
                using var failure = EnsureTrace();
                if (response.StatusCode is 401 or 403 or 429)
                {
                    Refused(context);
                }

                await Explain(context);
            }
            else if (response.StatusCode is 401 or 403 or 429)
            {
                Refused(context);
            }
        }
        catch (Exception exception) when (!response.HasStarted)
        {
            await Fail(context, exception, isLate: deadline is { HasPassed: true });
        }
        finally
        {
            deadline?.End(context);
        }
    }

    // Routes for which an environment key is enough never wait.
    private TimeSpan? LimitOf(HttpContext context) =>
        EnvironmentKeyRoute.IsFor(context) ? null
        : context.GetEndpoint()?.Metadata.GetMetadata<TimeLimit>() is { } own ? own.Limit
        : options.Value.Deadline;

    // The id is in the response, and in what is logged of a refusal or a failure.
    private static void Stamp(HttpContext context)
    {
        context.TraceIdentifier = RequestId(context.Request);
        context.Response.Headers["X-Request-Id"] = context.TraceIdentifier;
        context.Response.Headers.XContentTypeOptions = "nosniff";
    }

    // Once for each refusal: who, from where and why.
    private void Refused(HttpContext context)
    {
        var status = context.Response.StatusCode;
        instruments.RequestsRefused.Add(1, new KeyValuePair<string, object?>("status", status));
        // Guesses beyond the limit are counted only, so that they do not fill the log.
        if (!logger.IsEnabled(LogLevel.Information) || context.Features.Get<RefusalReason>() is { IsLogged: false })
        {
            return;
        }

        using var scope = Scope(context);
        var who = Actor.Of(context.User).Name is { Length: > 0 } name ? name : "somebody";
        logger.Refused(
            status,
            context.Request.Method,
            context.Request.Path,
            who,
            context.Connection.RemoteIpAddress,
            context.Features.Get<RefusalReason>()?.Text ?? context.Features.Get<RoleTooLow>()?.Explain() ?? "no access, or too much at once"
        );
    }

    // Gives a body to an answer that the framework left without one.
    private static Task Explain(HttpContext context)
    {
        Problem? problem = context.Response.StatusCode switch
        {
            StatusCodes.Status400BadRequest => Problem.Malformed,
            StatusCodes.Status401Unauthorized => context.Request.Headers.Authorization.Count == 0
                ? Problem.NoCredential
                : Problem.BadCredential,
            StatusCodes.Status403Forbidden => Problem.Forbidden,
            StatusCodes.Status404NotFound => Problem.NoRoute,
            StatusCodes.Status405MethodNotAllowed => Problem.WrongMethod,
            StatusCodes.Status413PayloadTooLarge => Problem.TooLarge,
            StatusCodes.Status415UnsupportedMediaType => Problem.WrongMediaType,
            StatusCodes.Status429TooManyRequests => Problem.TooMany,
            StatusCodes.Status503ServiceUnavailable => Problem.Unavailable,
            _ => null,
        };
        if (context.Features.Get<RoleTooLow>() is { } tooLow && problem == Problem.Forbidden)
        {
            return BufferedResponse.Of(new ProblemResult(Problem.RoleTooLow, tooLow.Explain())).ExecuteAsync(context);
        }

        if (problem == Problem.NoCredential && context.GetEndpoint()?.Metadata.GetMetadata<CredentialHint>() is { } hint)
        {
            return BufferedResponse.Of(new ProblemResult(problem, hint.Text)).ExecuteAsync(context);
        }

        return problem is null ? Task.CompletedTask : BufferedResponse.Of(problem).ExecuteAsync(context);
    }

    private Task Fail(HttpContext context, Exception exception, bool isLate)
    {
        var problem = exception switch
        {
            BadHttpRequestException refused => RequestBody.Why(refused),
            // A race that the statement could not see, resolved by the unique constraint.
            PostgresException { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "features_name" } => Problem.FeatureNameTaken,
            PostgresException { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "warehouse_connections_name" } =>
                Problem.WarehouseConnectionNameTaken,
            PostgresException { SqlState: PostgresErrorCodes.UniqueViolation, ConstraintName: "environments_name" } =>
                Problem.EnvironmentNameTaken,
            _ when Failure.IsUnavailable(exception) => Problem.Unavailable,
            _ => Problem.Failed,
        };
        using var failure = EnsureTrace();
        using var scope = Scope(context);
        if (problem == Problem.Unavailable && isLate)
        {
            logger.RequestTimedOut(context.Request.Method, context.Request.Path);
        }
        else if (problem == Problem.Unavailable)
        {
            logger.DatabaseUnavailable(context.Request.Method, context.Request.Path, exception.Message);
        }
        else if (problem == Problem.Failed)
        {
            logger.RequestFailed(exception, context.Request.Method, context.Request.Path);
        }

        return BufferedResponse.Of(problem).ExecuteAsync(context);
    }

    // The framework traces requests only where somebody listens; a trace that the client has begun goes on in any case.
    private static Activity? Continue(HttpRequest request) =>
        Activity.Current is null
        && request.Headers.TraceParent is [{ } parent]
        && ActivityContext.TryParse(parent, request.Headers.TraceState, out var context)
            ? new Activity("request").SetParentId(context.TraceId, context.SpanId, context.TraceFlags).Start()
            : null;

    // Requests are not traced unless somebody listens. Whoever is told of a failure gets the trace that its log line has.
    private static Activity? EnsureTrace() => Activity.Current is null ? new Activity("failure").Start() : null;

    private IDisposable? Scope(HttpContext context) =>
        logger.BeginScope(new Dictionary<string, object> { ["RequestId"] = context.TraceIdentifier });

    private static string RequestId(HttpRequest request) =>
        request.Headers["X-Request-Id"] is [{ Length: >= 1 and <= 128 } id]
        && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')
            ? id
            : ActivityTraceId.CreateRandom().ToHexString();
}
