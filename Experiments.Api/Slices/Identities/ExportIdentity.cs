using System.Text.Json;
using System.Text.Json.Serialization;
using Dapper;
using Experiments.Api.Aggregation;
using Experiments.Api.Analysis;
using Experiments.Api.Domain;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Identities;

/// <summary>Exports everything that is stored of one identity in the environment.</summary>
internal static class ExportIdentity
{
    // An identity that has more than this is a bot.
    private const int MostEvents = 10_000;

    public static void Map(RouteGroupBuilder identities) =>
        identities
            .MapPost("/export", context => context.Compute<IdentityBody, Response>(body => new Query(context.Environment.Id, body)))
            .WithOperation("exportIdentity", "Export what is stored of an identity")
            .HasBody<IdentityBody>(IdentityBody.Example)
            .WithTimeLimit(FullPasses.Limit)
            // A saved answer would be one more copy of it.
            .WithMetadata(new NotKept())
            .Returns<Response>();

    internal sealed record Query(long EnvironmentId, IdentityBody Body) : IRequest<Result<Response>>;

    /// <summary>What is stored of an identity: its exposures with its values, and its events, newest first.</summary>
    /// <param name="Identifier">The identifier that was asked for.</param>
    /// <param name="Identifiers">All identifiers of the same person, as <c>$identify</c> and <c>$create_alias</c> told.</param>
    /// <param name="Traits">What the environment keeps of its traits.</param>
    /// <param name="Exposures">Its exposures.</param>
    /// <param name="Events">Its newest events.</param>
    /// <param name="EventCount">How many events there are.</param>
    [Example(
        """
            {"identifier": "user-1", "identifiers": ["user-1"], "traits": {"plan": "pro"},
             "exposures": [{"experiment": 1, "name": "Green button", "variant": "green",
                "first_exposed_at": "2026-11-22T12:00:00Z", "levels": ["de"], "values": [1, 59.9]}],
             "events": [{"event": "purchase", "at": "2026-11-22T12:01:00Z", "feature_name": null, "value": "59.90", "traits": null,
                "metadata": null}], "event_count": 1}
            """
    )]
    internal sealed record Response(
        string Identifier,
        IReadOnlyList<string> Identifiers,
        Json<JsonElement> Traits,
        IReadOnlyList<Exposure> Exposures,
        IReadOnlyList<IdentityEvent> Events,
        long EventCount
    );

    /// <summary>An exposure to an experiment; without a variant where it does not count.</summary>
    internal sealed record Exposure
    {
        public required long Experiment { get; init; }

        public required string Name { get; init; }

        public required string? Variant { get; init; }

        public required DateTime? FirstExposedAt { get; init; }

        /// <summary>Its levels for the breakdowns of the experiment.</summary>
        public required Json<JsonElement> Levels { get; init; }

        /// <summary>Its values for the metrics of the experiment, as they are stored.</summary>
        public required double[] Values { get; init; }
    }

    /// <summary>An event of the identity.</summary>
    internal sealed record IdentityEvent
    {
        [JsonPropertyName("event")]
        public required string Name { get; init; }

        public required DateTime At { get; init; }

        public required string? FeatureName { get; init; }

        public required string? Value { get; init; }

        public required Json<JsonElement> Traits { get; init; }

        public required Json<JsonElement> Metadata { get; init; }

        public static IdentityEvent Of(IdentityEventRow row) =>
            new()
            {
                Name = row.Name,
                At = row.At,
                FeatureName = row.FeatureName,
                Value = row.Value,
                Traits = new(row.Traits ?? "null"),
                Metadata = new(row.Metadata ?? "null"),
            };
    }

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => IdentityBody.Check(RuleFor(q => q.Body.Identifier));
    }

    internal sealed class Handler(FullPasses passes, IEventStore store) : IRequestHandler<Query, Result<Response>>
    {
        private const string Sql = """
            SELECT e.id AS experiment, e.name, e.variants->(x.counts_in::int)->>'key' AS variant, x.seen_at AS first_exposed_at,
                COALESCE(x.levels, 'null')::text AS levels, COALESCE(m.numbers, '{}') AS values
            FROM experiments e
            JOIN exposures x ON x.experiment_id = e.id AND x.identity = ANY (@Identities)
            LEFT JOIN unit_metrics m ON m.experiment_id = e.id AND m.identity = x.identity
            WHERE e.environment_id = @EnvironmentId
            ORDER BY e.id
            """;

        // Of several identities of a person, what was kept last.
        private const string Traits = """
            SELECT COALESCE(jsonb_object_agg(t.key, t.value ORDER BY k.updated_at), '{}')::text
            FROM identity_traits k
            JOIN environments e ON e.id = k.environment_id, jsonb_each(k.traits) t
            WHERE k.environment_id = @EnvironmentId AND k.identity = ANY (@Identities) AND t.key = ANY (e.kept_traits)
            """;

        public Task<Result<Response>> Handle(Query query, CancellationToken cancellationToken) =>
            passes
                .Read<Result<Response>>(
                    async connection =>
                    {
                        var asked = query.Body.Identifier!;
                        var person = await connection.QueryAsync<string>(
                            IdentityAliases.OfPerson,
                            new { query.EnvironmentId, Identity = Identity.Key(asked) }
                        );
                        string[] identifiers = [.. person.Append(asked).Distinct().Order(StringComparer.Ordinal)];
                        var parameters = new
                        {
                            query.EnvironmentId,
                            Identifiers = identifiers,
                            Identities = identifiers.Select(Identity.Key).ToArray(),
                        };
                        var exposures = (await connection.QueryAsync<Exposure>(Sql, parameters)).AsList();
                        var (total, events) = await store.OfIdentity(
                            connection,
                            query.EnvironmentId,
                            identifiers,
                            MostEvents,
                            cancellationToken
                        );
                        var traits = await connection.QuerySingleAsync<Json<JsonElement>>(Traits, parameters);
                        return new Response(asked, identifiers, traits, exposures, [.. events.Select(IdentityEvent.Of)], total);
                    },
                    cancellationToken
                )
                .OrDetach(cancellationToken);
    }
}
