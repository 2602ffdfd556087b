namespace Experiments.Api.Platform.Http;

/// <summary>What a slice says of itself for the OpenAPI document, beside its route.</summary>
internal static class Documentation
{
    public static RouteHandlerBuilder Named(this RouteHandlerBuilder route, string operationId, string summary) =>
        route.WithName(operationId).WithSummary(summary);

    /// <summary>A query parameter.</summary>
    public static RouteHandlerBuilder Asks(
        this RouteHandlerBuilder route,
        string name,
        string description,
        string example,
        bool repeatable = false
    ) => route.WithMetadata(new Parameter(name, description, example, repeatable));

    public static RouteHandlerBuilder AsksForPage(this RouteHandlerBuilder route) =>
        route
            .Asks("page", "Which page, from 1.", "1")
            .Asks("page_size", $"How many a page, {Page.MaxSize} at most.", "20")
            .Refuses(Problem.Invalid, Problem.NoPage);

    /// <summary>The body that is read, with an example of it.</summary>
    public static RouteHandlerBuilder Takes<T>(this RouteHandlerBuilder route, string example, bool required = true) =>
        route
            .WithMetadata(new Body(typeof(T), example, required))
            .Refuses(Problem.Malformed, Problem.Invalid, Problem.TooSlow, Problem.TooLarge, Problem.WrongMediaType);

    public static RouteHandlerBuilder Answers<T>(this RouteHandlerBuilder route, int status = StatusCodes.Status200OK) =>
        route.Produces<T>(status);

    public static RouteHandlerBuilder AnswersNothing(this RouteHandlerBuilder route) => route.Produces(StatusCodes.Status204NoContent);

    /// <summary>The refusals that are this operation's own; those that follow from its place and shape are added to them.</summary>
    public static RouteHandlerBuilder Refuses(this RouteHandlerBuilder route, params Problem[] problems) =>
        route.WithMetadata(new Refusals(problems));

    internal sealed record Parameter(string Name, string Description, string Example, bool Repeatable);

    internal sealed record Body(Type Type, string Example, bool Required);

    internal sealed record Refusals(Problem[] Problems);
}
