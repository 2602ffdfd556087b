using Experiments.Api.Platform;
using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Warehouse;
using FluentValidation;
using MediatR;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Slices.WarehouseConnections;

/// <summary>Makes a connection to a warehouse, from which experiments of the project can be counted. Its password is encrypted.</summary>
internal static class CreateWarehouseConnection
{
    public static void Map(RouteGroupBuilder connections) =>
        connections
            .MapPost("/", context => context.Create<Body, WarehouseConnectionView>(body => new Command(context.Caller, context.Id, body)))
            .WithOperation("createWarehouseConnection", "Connect a warehouse; its password is never shown")
            .HasBody<Body>(
                """
                {"name": "Analytics", "kind": "clickhouse", "host": "clickhouse.example.com", "database": "analytics",
                    "username": "experiments", "password": "secret"}
                """
            )
            .Returns<WarehouseConnectionView>(StatusCodes.Status201Created)
            .FailsWith(Problem.WarehousesOff, Problem.WarehouseConnectionNameTaken);

    /// <summary>The new connection.</summary>
    /// <param name="Name">Its name, unique in the project.</param>
    /// <param name="Kind">What the warehouse is.</param>
    /// <param name="Host">A host that the operator allows.</param>
    /// <param name="Port">By default 5432 of PostgreSQL, and 8443 (or 8123 without TLS) of ClickHouse.</param>
    /// <param name="Database">The database in which the names of tables are looked up.</param>
    /// <param name="Username">A user that may read the tables. It needs no other right.</param>
    /// <param name="Password">Its password, which is kept encrypted and never shown.</param>
    /// <param name="Tls">Whether the connection is encrypted and the certificate checked.</param>
    internal sealed record Body(
        string? Name = null,
        [property: Words(WarehouseConnection.PostgreSql, WarehouseConnection.ClickHouse)] string? Kind = null,
        string? Host = null,
        int? Port = null,
        string? Database = null,
        string? Username = null,
        string? Password = null,
        [property: Must(Default = true)] bool? Tls = null
    );

    internal sealed record Command(Caller Caller, long ProjectId, Body Body) : IRequest<Result<WarehouseConnectionView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(AllowedHosts hosts, IOptions<WarehouseOptions> options)
        {
            RuleFor(c => c.Body.Name).Required(255);
            RuleFor(c => c.Body.Kind).NotNull().WithMessage("This is required: postgresql or clickhouse.");
            RuleFor(c => c.Body.Kind).OneOf(WarehouseConnection.Kinds);
            RuleFor(c => c.Body.Host).Required(255);
            RuleFor(c => c.Body.Host).Host(hosts).When(c => options.Value.IsOn && !string.IsNullOrWhiteSpace(c.Body.Host));
            RuleFor(c => c.Body.Port).Port();
            RuleFor(c => c.Body.Database).Required(255);
            RuleFor(c => c.Body.Username).Required(255);
            RuleFor(c => c.Body.Password).NotNull().WithMessage("This is required; it may be empty.");
            RuleFor(c => c.Body.Password).Password();
        }
    }

    internal sealed class Handler(Db db, PasswordCipher cipher, IOptions<WarehouseOptions> options)
        : IRequestHandler<Command, Result<WarehouseConnectionView>>
    {
        private const string Sql = $"""
            WITH created AS (
                INSERT INTO warehouse_connections AS c (project_id, name, kind, host, port, database, username, password, tls, created_by)
                SELECT id, @Name, @Kind, @Host, @Port, @Database, @Username, @Password, @Tls, @Actor
                FROM projects WHERE id = @ProjectId AND deleted_at IS NULL FOR SHARE
                RETURNING c.*
            ), logged AS (
                INSERT INTO audit_log (project_id, actor, request_id, address, action, object_type, object_id, after)
                SELECT project_id, @Actor, @RequestId, @Address, 'warehouse_connection.created', 'warehouse_connection', id,
                    {WarehouseConnectionView.State}
                FROM created c
            )
            SELECT {WarehouseConnectionView.Columns} FROM created c
            """;

        // That another connection has the name is found by the unique index.
        public async Task<Result<WarehouseConnectionView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (!options.Value.IsOn)
            {
                return Problem.WarehousesOff;
            }

            var (body, tls) = (command.Body, command.Body.Tls ?? true);
            var connection = await db.Change<WarehouseConnectionView>(
                Sql,
                new
                {
                    command.Caller,
                    command.ProjectId,
                    Name = body.Name!.Trim(),
                    body.Kind,
                    Host = body.Host!.Trim(),
                    Port = body.Port ?? WarehouseConnectionRules.PortOf(body.Kind!, tls),
                    Database = body.Database!.Trim(),
                    Username = body.Username!.Trim(),
                    Password = cipher.Encrypt(body.Password!, command.ProjectId),
                    Tls = tls,
                },
                cancellationToken
            );
            return connection is null ? Problem.Forbidden : connection;
        }
    }
}
