using Experiments.Api.Aggregation;
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

/// <summary>Changes a connection. A password goes to no other host than the one it was given for.</summary>
internal static class PatchWarehouseConnection
{
    public static void Map(RouteGroupBuilder connections) =>
        connections
            .MapPatch(
                "/{connection}",
                context =>
                    context.Patch<Body, WarehouseConnectionView>(body => new Command(
                        context.Caller,
                        context.Id,
                        context.RouteId("connection"),
                        body
                    ))
            )
            .WithOperation("patchWarehouseConnection", "Change a warehouse connection; another host needs the password again")
            .HasBody<Body>("""{"name": "Analytics (replica)"}""")
            .Returns<WarehouseConnectionView>()
            .FailsWith(Problem.NoWarehouseConnection, Problem.WarehousesOff, Problem.WarehouseConnectionNameTaken);

    internal sealed record Body
    {
        /// <summary>Its name, unique in the project.</summary>
        public Optional<string> Name { get; init; }

        /// <summary>A host that the operator allows. Another one needs the password again, as another port does.</summary>
        public Optional<string> Host { get; init; }

        /// <summary>The port; of ClickHouse, that of its HTTP interface.</summary>
        public Optional<int?> Port { get; init; }

        /// <summary>The database in which the names of tables are looked up.</summary>
        public Optional<string> Database { get; init; }

        /// <summary>A user that may read the tables.</summary>
        public Optional<string> Username { get; init; }

        /// <summary>Its password, which is never shown.</summary>
        public Optional<string> Password { get; init; }

        /// <summary>Whether the connection is encrypted and the certificate checked.</summary>
        public Optional<bool?> Tls { get; init; }
    }

    internal sealed record Command(Caller Caller, long ProjectId, long Id, Body Body) : IRequest<Result<WarehouseConnectionView>>;

    internal sealed class Validator : AbstractValidator<Command>
    {
        public Validator(AllowedHosts hosts, IOptions<WarehouseOptions> options)
        {
            RuleFor(c => c.Body.Name).RequiredIfPresent(255);
            RuleFor(c => c.Body.Host).RequiredIfPresent(255);
            RuleFor(c => c.Body.Host.Value)
                .Host(hosts)
                .When(c => options.Value.IsOn && !string.IsNullOrWhiteSpace(c.Body.Host.Value))
                .OverridePropertyName("host");
            RuleFor(c => c.Body.Port).NotNullIfPresent();
            RuleFor(c => c.Body.Port.Value).Port().OverridePropertyName("port");
            RuleFor(c => c.Body.Database).RequiredIfPresent(255);
            RuleFor(c => c.Body.Username).RequiredIfPresent(255);
            RuleFor(c => c.Body.Password).NotNullIfPresent();
            RuleFor(c => c.Body.Password.Value).Password().OverridePropertyName("password");
            RuleFor(c => c.Body.Tls).NotNullIfPresent();
        }
    }

    internal sealed class Handler(Db db, PasswordCipher cipher, IOptions<WarehouseOptions> options)
        : IRequestHandler<Command, Result<WarehouseConnectionView>>
    {
        private const string Sql = $"""
            WITH former AS (
                SELECT * FROM warehouse_connections WHERE id = @Id AND project_id = @ProjectId AND deleted_at IS NULL FOR NO KEY UPDATE
            ), wanted AS (
                SELECT id, COALESCE(@Name, name) AS name, COALESCE(@Host, host) AS host, COALESCE(@Port, port) AS port,
                    COALESCE(@Database, database) AS database, COALESCE(@Username, username) AS username,
                    COALESCE(@Password, password) AS password, COALESCE(@Tls, tls) AS tls,
                    @Password::bytea IS NULL AND (COALESCE(@Host, host), COALESCE(@Port, port), COALESCE(@Tls, tls)) <> (host, port, tls)
                        AS lacks_password
                FROM former
            ), changed AS (
                UPDATE warehouse_connections c SET name = w.name, host = w.host, port = w.port, database = w.database,
                    username = w.username, password = w.password, tls = w.tls, version = f.version + 1,
                    updated_at = GREATEST(clock_timestamp(), f.updated_at)
                FROM wanted w, former f
                WHERE c.id = w.id AND NOT w.lacks_password
                  AND (f.name, f.host, f.port, f.database, f.username, f.password, f.tls)
                      <> (w.name, w.host, w.port, w.database, w.username, w.password, w.tls)
                RETURNING c.*
            ), invalidated AS (
                -- What was found elsewhere.
                UPDATE results r SET {RebuildWriter.Forgotten}
                FROM changed c, former f, experiments e
                WHERE e.connection_id = c.id AND e.status <> 'completed' AND r.experiment_id = e.id
                    AND (f.host, f.port, f.database) <> (c.host, c.port, c.database)
            ), logged AS (
                INSERT INTO audit_log (project_id, actor, request_id, address, action, object_type, object_id, before, after)
                SELECT c.project_id, @Actor, @RequestId, @Address, 'warehouse_connection.updated', 'warehouse_connection', c.id,
                    (SELECT {WarehouseConnectionView.State} FROM former c), {WarehouseConnectionView.State}
                FROM changed c
            )
            SELECT w.lacks_password, {WarehouseConnectionView.Columns}
            FROM (SELECT * FROM changed UNION ALL SELECT * FROM former WHERE NOT EXISTS (SELECT FROM changed)) c, wanted w
            """;

        public async Task<Result<WarehouseConnectionView>> Handle(Command command, CancellationToken cancellationToken)
        {
            if (!options.Value.IsOn)
            {
                return Problem.WarehousesOff;
            }

            var body = command.Body;
            var row = await db.Change<Row>(
                Sql,
                new
                {
                    command.Caller,
                    command.ProjectId,
                    command.Id,
                    Name = body.Name.Value?.Trim(),
                    Host = body.Host.Value?.Trim(),
                    Port = body.Port.Value,
                    Database = body.Database.Value?.Trim(),
                    Username = body.Username.Value?.Trim(),
                    Password = body.Password.Value is { } password ? cipher.Encrypt(password, command.ProjectId) : null,
                    Tls = body.Tls.Value,
                },
                cancellationToken
            );
            return row switch
            {
                null => Problem.NoWarehouseConnection,
                { LacksPassword: true } => ProblemResult.Field(
                    "password",
                    "This is required to change 'host', 'port' or 'tls', so that the password goes nowhere else unnoticed."
                ),
                _ => row,
            };
        }

        private sealed record Row : WarehouseConnectionView
        {
            public bool LacksPassword { get; init; }
        }
    }
}
