using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using MediatR;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Http;

/// <summary>The scope of a command.</summary>
/// <param name="EnvironmentId">Its environment.</param>
/// <param name="Caller">Who gives it.</param>
/// <param name="IfMatch">The versions of the object it may act on; null for any.</param>
/// <param name="MayDefine">Whether it may change what the features of the project are.</param>
internal sealed record CommandScope(long EnvironmentId, Caller Caller, string[]? IfMatch, bool MayDefine) : IParameterGroup;

/// <summary>
/// One request as a slice sees it. Nothing of the body is read before the slice asks for it, so that authentication,
/// authorisation and the gate have answered first.
/// </summary>
internal sealed class RequestContext(HttpContext http)
{
    public Caller Caller => Caller.Of(http);

    public Actor Actor => Actor.Of(http.User);

    public EnvironmentScope Environment => http.Features.Get<EnvironmentScope>()!;

    /// <summary>What the route is about: its environment, the project in it, or the instance.</summary>
    public TenantScope Tenant =>
        InEnvironment ? new(Environment.Id, null)
        : http.Request.RouteValues.ContainsKey("id") ? new(null, Id)
        : new(null, null);

    private bool InEnvironment => http.Features.Get<EnvironmentScope>() is not null;

    /// <summary>The id of the object that the route is about; 0, which no object has, when it is none.</summary>
    public long Id => RouteId("id");

    public CommandScope Scope => new(Environment.Id, Caller, IfMatch, Environment.MayDefine);

    /// <summary>Cancelled when the client has gone or the deadline has passed.</summary>
    public CancellationToken Aborted => http.RequestAborted;

    public IQueryCollection Query => http.Request.Query;

    public Page Page => Page.From(Query);

    /// <summary>The address of this request: as the operator has said, or else as far as the client can be believed.</summary>
    public Uri Address =>
        Resolve<IOptions<RequestOptions>>().Value.PublicAddress is { } known ? new(known, http.Request.GetEncodedPathAndQuery())
        : Uri.TryCreate(http.Request.GetEncodedUrl(), UriKind.Absolute, out var address) ? address
        : throw new BadHttpRequestException("The Host header is not the name of a host.");

    private string[]? IfMatch { get; set; }

    private string? _list;
    private Func<object, object>? _form;

    /// <summary>Another id in the route; 0, which no object has, when it is none.</summary>
    public long RouteId(string name) => ObjectIds.Parse(http.GetRouteValue(name) as string);

    public T Resolve<T>()
        where T : notnull => http.RequestServices.GetRequiredService<T>();

    /// <summary>Whatever the request is answered with is shown in another form.</summary>
    public RequestContext Showing<T>(Func<T, object> form)
    {
        _form = value => form((T)value);
        return this;
    }

    /// <summary>Answers 200 with what the request asks for.</summary>
    public async Task<IResult> Get<T>(IRequest<Result<T>> request)
        where T : class => ToResponse(StatusCodes.Status200OK, await Send(request));

    /// <summary>What the request asks for, to be answered in a form of its own.</summary>
    public Task<Result<T>> Send<T>(IRequest<Result<T>> request)
        where T : class => Resolve<IMediator>().Send(request, http.RequestAborted);

    /// <summary>
    /// Answers 201 with the new object and its address: below the route or, where it belongs elsewhere, in that list of the environment.
    /// </summary>
    public Task<IResult> Create<TBody, T>(Func<TBody, IRequest<Result<T>>> command, string? at = null)
        where TBody : class
        where T : class
    {
        _list = at;
        return Change(StatusCodes.Status201Created, required: at is null, command);
    }

    /// <summary>Answers 200 with the object as the action left it. The body may be absent.</summary>
    public Task<IResult> Act<TBody, T>(Func<TBody, IRequest<Result<T>>> command)
        where TBody : class
        where T : class => Change(StatusCodes.Status200OK, required: false, command);

    /// <summary>Answers 200 with what is asked for in a body.</summary>
    public Task<IResult> Compute<TBody, T>(Func<TBody, IRequest<Result<T>>> query)
        where TBody : class
        where T : class => Change(StatusCodes.Status200OK, required: true, query);

    /// <summary>Answers 200 with the object as it is now.</summary>
    public Task<IResult> Patch<TBody, T>(Func<TBody, IRequest<Result<T>>> command)
        where TBody : class
        where T : class => Change(StatusCodes.Status200OK, required: true, command);

    /// <summary>Answers 202, with nothing.</summary>
    public Task<IResult> Accept(Func<IRequest<Result<Nothing>>> command) =>
        Change<NoBody, Nothing>(StatusCodes.Status202Accepted, required: false, _ => command());

    /// <summary>Answers 204.</summary>
    public Task<IResult> Delete(Func<IRequest<Result<Nothing>>> command) =>
        Change<NoBody, Nothing>(StatusCodes.Status204NoContent, required: false, _ => command());

    private async Task<IResult> Change<TBody, T>(int status, bool required, Func<TBody, IRequest<Result<T>>> command)
        where TBody : class
        where T : class
    {
        var ct = http.RequestAborted;
        // The body of a DELETE has no meaning (RFC 9110, section 9.3.5).
        var bytes = HttpMethods.IsDelete(http.Request.Method) ? RequestBody.None : await RequestBody.Read(http.Request, required, ct);
        if (bytes.Failure is { } unread)
        {
            return await Fail(unread);
        }

        var body = JsonBody.Read<TBody>(bytes.Value);
        var conditions = Preconditions.Required(http.Request.Headers.IfMatch);
        if ((body.Failure ?? conditions?.Failure) is { } unreadable)
        {
            return await Fail(unreadable);
        }

        IfMatch = conditions?.Value;
        if (IfMatch is not null && !IsVersioned)
        {
            // An object without a version can never match If-Match.
            return BufferedResponse.Of(Problem.Stale);
        }

        var request = command(body.Value!);
        var key = http.Request.Headers["Idempotency-Key"];
        if (!HttpMethods.IsPost(http.Request.Method) || key.Count == 0 || http.GetEndpoint()?.Metadata.GetMetadata<NotKept>() is not null)
        {
            return await Perform();
        }

        return key is [{ Length: >= 1 and <= 255 } text] && text.All(c => c is > ' ' and <= '~')
            ? await Resolve<Idempotency>()
                .Once(
                    new(
                        Actor.Name,
                        http.Features.Get<EnvironmentScope>()?.Key ?? "",
                        text,
                        Actor.SecretOf(http),
                        Idempotency.Fingerprint(http.Request, bytes.Value!)
                    ),
                    Perform,
                    ct
                )
            : await Fail(ProblemResult.Field("Idempotency-Key", "This must be 1 to 255 visible ASCII characters, given once."));

        async Task<BufferedResponse> Perform()
        {
            var outcome = await Send(request);
            return outcome.Failure is { } refusal ? await Fail(refusal) : ToResponse(status, outcome);
        }
    }

    private string ListOf(object created) =>
        _list is null
            ? http.Request.Path.Value!.TrimEnd('/')
            : $"/api/v1/environments/{(created as ICreatedIn)?.EnvironmentKey ?? Environment.Key}/{_list}";

    private bool IsVersioned =>
        http.GetEndpoint()!
            .Metadata.GetOrderedMetadata<Documentation.Failures>()
            .Any(refusals => refusals.Problems.Contains(Problem.Stale));

    private BufferedResponse ToResponse<T>(int status, Result<T> outcome)
        where T : class =>
        outcome switch
        {
            { Failure: { } refusal } => BufferedResponse.Of(refusal),
            { Value: Nothing } => BufferedResponse.Empty(status),
            { Value: IIdentified created } when status == StatusCodes.Status201Created => Shown(status, outcome.Value) with
            {
                Location = $"{ListOf(created)}/{created.Id}/",
            },
            _ => Shown(status, outcome.Value!),
        };

    private BufferedResponse Shown<T>(int status, T value)
        where T : class => _form is null ? BufferedResponse.Of(status, value) : BufferedResponse.Of(status, _form(value));

    // A 404 takes precedence over errors in the body, and is checked only if there is such an error.
    private async Task<BufferedResponse> Fail(ProblemResult refusal)
    {
        if (
            refusal.Problem.Status is StatusCodes.Status400BadRequest or StatusCodes.Status415UnsupportedMediaType
            && http.GetEndpoint()?.Metadata.GetMetadata<ObjectOf>() is { } of
            && http.Request.RouteValues.ContainsKey("id")
            && await Resolve<Db>().Row<ObjectOf.Found>(of.Sql, new { Id, EnvironmentId = Environment.Id }, http.RequestAborted) is null
        )
        {
            return BufferedResponse.Of(of.NotFound);
        }

        return BufferedResponse.Of(refusal);
    }

    /// <summary>The body of a request that takes none: only an empty object will do.</summary>
    internal sealed record NoBody;
}

/// <summary>Which object the <c>{id}</c> of a route names, and how to find out whether this environment has it.</summary>
internal sealed record ObjectOf(string Sql, Problem NotFound)
{
    internal sealed record Found(long Id);
}
