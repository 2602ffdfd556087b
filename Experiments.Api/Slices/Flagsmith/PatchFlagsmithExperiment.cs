using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Experiments;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>Changes the name or the hypothesis of an experiment, and refuses what has a route of its own.</summary>
internal static class PatchFlagsmithExperiment
{
    public static void Map(RouteGroupBuilder experiments) =>
        experiments
            .MapPatch(
                "/{id}",
                context =>
                    context
                        .Showing<ExperimentView>(CreateFlagsmithExperiment.FlagsmithCreatedExperiment.Of)
                        .Patch<Body, ExperimentView>(body => new Command(context.Scope, context.Id, body))
            )
            .WithOperation("flagsmithPatchExperiment", "Change the name or the hypothesis of an experiment")
            .HasBody<Body>("""{"name": "Greener button"}""")
            .Returns<CreateFlagsmithExperiment.FlagsmithCreatedExperiment>()
            .FailsWith(Problem.NoExperiment);

    /// <summary>What may change, and what may not.</summary>
    [JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Skip)]
    internal sealed record Body
    {
        public Optional<string> Name { get; init; }

        public Optional<string> Hypothesis { get; init; }

        public JsonElement? Feature { get; init; }

        public JsonElement? Metrics { get; init; }

        public JsonElement? ExperimentRollout { get; init; }
    }

    internal sealed record Command(CommandScope Scope, long Id, Body Body) : IRequest<Result<ExperimentView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Hypothesis).RequiredIfPresent(10_000);
            RuleFor(c => c.Body.Feature).Null().WithMessage("Cannot change the feature of an existing experiment.");
            RuleFor(c => c.Body.Metrics).Null().WithMessage("Cannot change the metrics of an existing experiment.");
            RuleFor(c => c.Body.ExperimentRollout).Null().WithMessage("Cannot change the rollout here. Use the rollout endpoint instead.");
        }
    }

    internal sealed class Handler(IMediator mediator) : IRequestHandler<Command, Result<ExperimentView>>
    {
        public Task<Result<ExperimentView>> Handle(Command command, CancellationToken cancellationToken) =>
            mediator.Send(
                new PatchExperiment.Command(
                    command.Scope,
                    command.Id,
                    new() { Name = command.Body.Name, Hypothesis = command.Body.Hypothesis }
                ),
                cancellationToken
            );
    }
}
