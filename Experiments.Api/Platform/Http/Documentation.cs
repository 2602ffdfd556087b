namespace Experiments.Api.Platform.Http;

/// <summary>What a slice contributes to the OpenAPI document, next to its route.</summary>
internal static class Documentation
{
    public static RouteHandlerBuilder WithOperation(this RouteHandlerBuilder route, string operationId, string summary) =>
        route.WithName(operationId).WithSummary(summary);

    /// <summary>A query parameter.</summary>
    public static RouteHandlerBuilder HasQuery(
        this RouteHandlerBuilder route,
        string name,
        string description,
        string example,
        bool repeatable = false,
        bool required = false,
        string[]? words = null,
        string? otherwise = null
    ) => route.WithMetadata(new Parameter(name, description, example, repeatable, required, words) { Otherwise = otherwise });

    public static RouteHandlerBuilder HasPaging(this RouteHandlerBuilder route) =>
        route
            .HasQuery("page", "Which page, from 1.", "1")
            .HasQuery("page_size", $"How many a page, {Page.MaxSize} at most.", "20")
            .FailsWith(Problem.Invalid, Problem.NoPage);

    /// <summary>Paging where clients ask for more than there is on a page, and get as many as there may be.</summary>
    public static RouteHandlerBuilder HasLenientPaging(this RouteHandlerBuilder route, int most) =>
        route
            .HasQuery("page", "Which page, from 1.", "1")
            .WithMetadata(
                new Parameter("page_size", $"How many a page; {Page.MaxSize} at most are answered.", "50", false, false, null)
                {
                    Maximum = most,
                    Default = Page.MaxSize,
                }
            )
            .FailsWith(Problem.Invalid, Problem.NoPage);

    /// <summary>The body that is read, with an example of it.</summary>
    public static RouteHandlerBuilder HasBody<T>(this RouteHandlerBuilder route, string example, bool required = true) =>
        route
            .WithMetadata(new Body(typeof(T), example, required))
            .FailsWith(Problem.Malformed, Problem.Invalid, Problem.TooSlow, Problem.TooLarge, Problem.WrongMediaType);

    public static RouteHandlerBuilder Returns<T>(this RouteHandlerBuilder route, int status = StatusCodes.Status200OK) =>
        route.WithMetadata(new Answer(typeof(T), status));

    public static RouteHandlerBuilder ReturnsNothing(this RouteHandlerBuilder route, int status = StatusCodes.Status204NoContent) =>
        route.WithMetadata(new Answer(null, status));

    /// <summary>Answers 200 with a file.</summary>
    public static RouteHandlerBuilder ReturnsFile(this RouteHandlerBuilder route, string contentType, string example) =>
        route.WithMetadata(new Answer(null, StatusCodes.Status200OK) { ContentType = contentType, Example = example });

    /// <summary>The errors specific to this operation. Those that follow from its group and method are added automatically.</summary>
    public static RouteHandlerBuilder FailsWith(this RouteHandlerBuilder route, params Problem[] problems) =>
        route.WithMetadata(new Failures(problems));

    internal sealed record Parameter(string Name, string Description, string Example, bool Repeatable, bool Required, string[]? Words)
    {
        public int? Maximum { get; init; }

        public int? Default { get; init; }

        /// <summary>What it is when it is not given.</summary>
        public string? Otherwise { get; init; }
    }

    internal sealed record Body(Type Type, string Example, bool Required);

    /// <summary>What is answered: JSON of a type, a file, or nothing.</summary>
    internal sealed record Answer(Type? Type, int Status)
    {
        public string? ContentType { get; init; }

        public string? Example { get; init; }
    }

    /// <summary>The slice that a route belongs to.</summary>
    internal sealed record SliceOf(Type Type);

    internal sealed record Failures(Problem[] Problems);
}
