using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Holdouts;

/// <summary>Makes a holdout, with a salt of its own.</summary>
internal static class CreateHoldout
{
    public static void Map(RouteGroupBuilder holdouts) =>
        holdouts
            .MapPost("/", context => context.Create<Body, HoldoutView>(body => new Command(context.Scope, body)))
            .WithOperation("createHoldout", "Create a holdout: a share of identities excluded from experiments")
            .HasBody<Body>("""{"name": "Never in a test", "percentage": 5}""")
            .Returns<HoldoutView>(StatusCodes.Status201Created);

    internal sealed record Body(string? Name = null, string? Description = null, decimal? Percentage = null, UnitBody? Unit = null);

    internal sealed record Command(CommandScope Scope, Body Body) : IRequest<Result<HoldoutView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator()
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Description).MaxCharacters(10_000);
            RuleFor(c => c.Body.Percentage).NotNull().WithMessage("This is required: the percentage of identities that are held out.");
            RuleFor(c => c.Body.Unit).Custom((unit, context) => UnitBody.Check(unit, context.AddFailure));
            RuleFor(c => c.Body.Percentage).InclusiveBetween(0, 100).WithMessage("This must be from 0 to 100.");
        }
    }

    internal sealed class Handler(Db db) : IRequestHandler<Command, Result<HoldoutView>>
    {
        private const string Sql = $"""
            WITH created AS (
                INSERT INTO holdouts AS h (environment_id, name, description, percentage, unit_key, created_by)
                VALUES (@EnvironmentId, @Name, @Description, @Percentage, @Unit, @Actor)
                RETURNING h.*, {HoldoutView.State} AS after
            ), logged AS (
                INSERT INTO audit_log (environment_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT environment_id, @Actor, @RequestId, @Address, 'holdout.created', 'holdout', id, after FROM created
            )
            SELECT {HoldoutView.Columns} FROM created h
            """;

        public async Task<Result<HoldoutView>> Handle(Command command, CancellationToken cancellationToken) =>
            (
                await db.Change<HoldoutView>(
                    Sql,
                    new
                    {
                        command.Scope,
                        Name = command.Body.Name!.Trim(),
                        Description = command.Body.Description?.Trim() ?? "",
                        Percentage = command.Body.Percentage!.Value,
                        Unit = UnitBody.Stored(command.Body.Unit),
                    },
                    cancellationToken
                )
            )!;
    }
}
