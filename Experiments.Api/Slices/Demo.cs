using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Startup;
using Experiments.Api.Slices.Experiments;
using Experiments.Api.Slices.Projects;
using MediatR;

namespace Experiments.Api.Slices;

/// <summary>A demo project for a service in Development that has none, so that the first request has something to show.</summary>
internal sealed class Demo(IMediator mediator) : IDemo
{
    private static readonly Actor Instance = new(Actor.Service, IsInstanceKey: true);

    public async Task<string?> EnvironmentKey(CancellationToken ct)
    {
        var page = new Page(1, 1);
        var address = new Uri("http://localhost/");
        var projects = Value(await mediator.Send(new ListProjects.Query(Instance, page, address), ct));
        if (projects.Results is [var latest])
        {
            return Value(await mediator.Send(new ListEnvironments.Query(Instance, latest.Id, page, address), ct)).Results is [var first]
                ? first.Key
                : null;
        }

        var project = Value(await mediator.Send(new CreateProject.Command(Caller.Service, new("Demo", "Demo")), ct));
        var environment = Value(await mediator.Send(new CreateEnvironment.Command(Caller.Service, project.Id, new("development")), ct));
        var scope = new CommandScope(environment.Id, Caller.Service, null, true);
        var blue = System.Text.Json.JsonSerializer.SerializeToElement("blue");
        var green = System.Text.Json.JsonSerializer.SerializeToElement("green");
        _ = Value(
            await mediator.Send(
                new CreateExperiment.Command(
                    scope,
                    new(
                        "Green button",
                        "A green button sells more.",
                        Feature: new(
                            null,
                            new("button_colour", [new("control", 50) { Value = new(blue) }, new("green", 50) { Value = new(green) }])
                        )
                    )
                ),
                ct
            )
        );
        return environment.Key;
    }

    private static T Value<T>(Result<T> outcome)
        where T : class => outcome.Value ?? throw new InvalidOperationException($"The demo was refused: {outcome.Failure}");
}
