using Experiments.Api.Aggregation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Identities;

/// <summary>Erases one identity from the environment, and corrects what was computed from it.</summary>
internal static class EraseIdentity
{
    public static void Map(RouteGroupBuilder identities) =>
        identities
            .MapPost("/erase", context => context.Act<IdentityBody, Response>(body => new Command(context.Scope, body)))
            .WithOperation("eraseIdentity", "Erase an identity")
            .HasBody<IdentityBody>(IdentityBody.Example)
            .WithTimeLimit(TimeSpan.FromSeconds(60))
            // To do it twice does no harm, and a saved answer has a hash of the identifier.
            .WithMetadata(new NotKept())
            .Returns<Response>()
            .FailsWith(Problem.DefinitionsUnreadable);

    internal sealed record Command(CommandScope Scope, IdentityBody Body) : IRequest<Result<Response>>;

    /// <summary>How many events, and exposures to how many experiments, were erased.</summary>
    [Example("""{"events": 12, "experiments": 1}""")]
    internal sealed record Response(int Events, int Experiments);

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator() => IdentityBody.Check(RuleFor(c => c.Body.Identifier));
    }

    internal sealed class Handler(Db db, IdentityErasure erasure) : IRequestHandler<Command, Result<Response>>
    {
        // What it comes down to; the rest corrects what was computed.
        private const string Sql = PostgresEventStore.DeleteEvents;

        public async Task<Result<Response>> Handle(Command command, CancellationToken cancellationToken)
        {
            try
            {
                var report = await db.Elsewhere(() =>
                    erasure.Run(command.Scope, command.Body.Identifier!, cancellationToken).OrDetach(cancellationToken)
                );
                return new Response(report.Events, report.Experiments);
            }
            catch (InvalidOperationException exception)
            {
                return new ProblemResult(Problem.DefinitionsUnreadable, exception.Message);
            }
        }
    }
}
