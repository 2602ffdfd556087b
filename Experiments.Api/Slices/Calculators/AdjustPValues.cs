using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Calculators;

/// <summary>Adjusts p-values for how many there are.</summary>
internal static class AdjustPValues
{
    public static void Map(RouteGroupBuilder analysis) =>
        analysis
            .MapPost("/adjust", context => context.Compute<Body, AdjustedPValues>(body => new Query(body)))
            .WithOperation("adjustPValues", "Adjust p-values for multiple comparisons")
            .HasBody<Body>("""{"method": "holm", "p_values": [0.01, 0.04, 0.03]}""")
            .Returns<AdjustedPValues>();

    internal sealed record Body(string? Method = null, IReadOnlyList<double>? PValues = null);

    /// <summary>The adjusted p-values, in the order in which they were given.</summary>
    [Example("""{"adjusted": [0.03, 0.06, 0.06]}""")]
    internal sealed record AdjustedPValues(
        [property: System.Text.Json.Serialization.JsonPropertyName("adjusted")] IReadOnlyList<double> Values
    );

    internal sealed record Query(Body Body) : IRequest<Result<AdjustedPValues>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        private const int Most = 10_000;

        public Validator()
        {
            RuleFor(q => q.Body.Method)
                .NotNull()
                .WithMessage("This is required: holm or benjamini_hochberg.")
                .OneOf("holm", "benjamini_hochberg");
            RuleFor(q => q.Body.PValues)
                .NotNull()
                .WithMessage("This is required: a list of numbers from 0 to 1.")
                .Must(values => values is null || values.Count <= Most)
                .WithMessage($"There may be {Most} of these at most.");
            RuleForEach(q => q.Body.PValues)
                .InclusiveBetween(0, 1)
                .WithMessage("This must be from 0 to 1.")
                .When(q => q.Body.PValues is { Count: <= Most });
        }
    }

    internal sealed class Handler : IRequestHandler<Query, Result<AdjustedPValues>>
    {
        public Task<Result<AdjustedPValues>> Handle(Query query, CancellationToken cancellationToken)
        {
            var values = query.Body.PValues!;
            return Task.FromResult<Result<AdjustedPValues>>(
                new AdjustedPValues(query.Body.Method == "holm" ? Adjustment.Holm(values) : Adjustment.BenjaminiHochberg(values))
            );
        }
    }
}
