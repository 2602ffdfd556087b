using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Metrics;
using MediatR;

namespace Experiments.Api.Slices.Flagsmith;

/// <summary>Changes a metric as Flagsmith's front end does, in part or as a whole. Its aggregation stays what it is.</summary>
internal static class PatchFlagsmithMetric
{
    public static void Map(RouteGroupBuilder metrics)
    {
        metrics
            .MapPatch("/{id}", context => Change(context, isWhole: false))
            .WithOperation("flagsmithPatchMetric", "Update a metric")
            .HasBody<FlagsmithMetricBody>("""{"name": "Revenue"}""")
            .Returns<FlagsmithMetric>()
            .FailsWith(Problem.NoMetric, Problem.MetricInUse);
        metrics
            .MapPut("/{id}", context => Change(context, isWhole: true))
            .WithOperation("flagsmithPutMetric", "Replace a metric")
            .HasBody<FlagsmithMetricBody>("""{"name": "Revenue", "definition": {"version": 1, "event": "purchase"}}""")
            .Returns<FlagsmithMetric>()
            .FailsWith(Problem.NoMetric, Problem.MetricInUse);
    }

    private static Task<IResult> Change(RequestContext context, bool isWhole) =>
        context
            .Showing<MetricView>(FlagsmithMetric.Of)
            .Patch<FlagsmithMetricBody, MetricView>(body => new Command(context.Scope, context.Id, body, isWhole));

    internal sealed record Command(CommandScope Scope, long Id, FlagsmithMetricBody Body, bool IsWhole) : IRequest<Result<MetricView>>;

    internal sealed class Handler(IMediator mediator) : IRequestHandler<Command, Result<MetricView>>
    {
        public async Task<Result<MetricView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var found = await mediator.Send(new GetMetric.Query(command.Scope.EnvironmentId, command.Id), cancellationToken);
            if (found.Value is not { } metric)
            {
                return found;
            }

            var body = command.Body;
            var wrong = new List<(string, string)>();
            if (body.Aggregation is { } aggregation && aggregation != metric.Aggregation)
            {
                wrong.Add(("aggregation", "The aggregation of a metric cannot change. Create another metric."));
            }

            if (command.IsWhole && body.Name is null)
            {
                wrong.Add(("name", "This is required and may not be blank."));
            }

            if (command.IsWhole && body.Definition is null)
            {
                wrong.Add(("definition", "This is required."));
            }

            return wrong.Count > 0
                ? ProblemResult.Fields(wrong)
                : await mediator.Send(
                    new PatchMetric.Command(
                        command.Scope,
                        command.Id,
                        new()
                        {
                            Name = Given(body.Name),
                            Description = Given(body.Description),
                            Direction = Given(body.Direction),
                            Definition = Given(DefinitionOf(body.Definition, metric)),
                        }
                    ),
                    cancellationToken
                );
        }

        // The version is shown where none is stored, and may come back.
        private static MetricDefinition? DefinitionOf(MetricDefinition? given, MetricView metric)
        {
            var stored = StoredJson.Read<MetricDefinition>(metric.Definition.Text);
            var meant = stored.Version is null && given?.Version == 1 ? given with { Version = null } : given;
            return FlagsmithMetricBody.Counted(meant, metric.Aggregation, stored.Property);
        }

        private static Optional<T> Given<T>(T? value)
            where T : class => value is null ? default : new(value);
    }
}
