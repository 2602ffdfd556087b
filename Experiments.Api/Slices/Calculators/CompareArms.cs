using Experiments.Api.Analysis;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Statistics;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Calculators;

/// <summary>Compares arms whose sums the caller has.</summary>
internal static class CompareArms
{
    public static void Map(RouteGroupBuilder analysis) =>
        analysis
            .MapPost("/compare", context => context.Compute<ComparisonBody, ComparisonView>(body => new Query(body)))
            .WithOperation("compareArms", "Compare arms from their summary statistics")
            .HasBody<ComparisonBody>(
                """
                {"kind": "proportion", "effect": "relative", "alpha": 0.05, "alternative": "two_sided", "direction": "up",
                 "control": {"key": "control", "n": 1000, "sum": 100}, "treatments": [{"key": "green", "n": 1000, "sum": 120}]}
                """
            )
            .Returns<ComparisonView>();

    internal sealed record Query(ComparisonBody Body) : IRequest<Result<ComparisonView>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => RuleFor(q => q.Body).Custom((body, context) => body.Check(context.AddFailure));
    }

    internal sealed class Handler : IRequestHandler<Query, Result<ComparisonView>>
    {
        public Task<Result<ComparisonView>> Handle(Query query, CancellationToken cancellationToken)
        {
            var (body, settings) = (query.Body, query.Body.Settings());
            var control = body.Control!.Sums(settings);
            return Task.FromResult<Result<ComparisonView>>(
                new ComparisonView(
                    [
                        .. body.Treatments!.Select(arm =>
                        {
                            // What computes does not wait, and so has to ask whether anybody still waits for it.
                            cancellationToken.ThrowIfCancellationRequested();
                            return ComparedArm.Of(arm!.Key, Comparison.Between(control, arm.Sums(settings), settings));
                        }),
                    ],
                    body.Weights is null ? null : SampleRatioOf(body, control)
                )
            );
        }

        private static SampleRatioOf SampleRatioOf(ComparisonBody body, SufficientStatistics control)
        {
            long[] observed = [(long)control.N, .. body.Treatments!.Select(arm => arm!.N!.Value)];
            var weights = body.WeightsInOrder();
            return new(SampleRatio.PValue(observed, weights), SequentialSampleRatio.PValue(observed, weights));
        }
    }
}
