using System.Text.Json;
using System.Text.Json.Serialization;
using Experiments.Api.Platform.Http;
using Experiments.Api.Slices.Features;

namespace Experiments.Api.Slices.Experiments;

/// <summary>The feature of an experiment as it is written: the id of one that is there, or one to be made with the experiment.</summary>
[JsonConverter(typeof(Reader))]
[JsonUnion(typeof(NewFeature), "the id of a feature, or an object that says what to make")]
internal sealed record FeatureChoice(long? Id, NewFeature? New)
{
    /// <summary>Reports weights that stand beside a feature that is to be made.</summary>
    public static void Check(FeatureChoice? feature, IReadOnlyList<VariantBody?>? variants, Action<string, string> wrong)
    {
        if (feature?.New is not null && variants is not null)
        {
            wrong("variants", "A feature that is made with the experiment has its variants in 'feature.variants'.");
        }
    }

    /// <summary>
    /// The feature as <c>flag</c>: the one that is adopted, locked so that its options stay as they are read here until an experiment
    /// stands on them, or the one that is <c>made</c>, if nothing is missing of what the experiment asks for (<c>found</c>).
    /// </summary>
    public const string Flag = $"""
        adopted AS (
            SELECT f.*, NULL::jsonb AS after, @Weights::jsonb IS NULL OR split_fits(f.options, @Weights::jsonb) AS split_fits
            FROM (
                SELECT {FeatureView.Here} FROM features f JOIN feature_states s ON s.feature_id = f.id
                WHERE f.id = @Feature AND s.environment_id = @EnvironmentId AND f.deleted_at IS NULL
                FOR SHARE OF f, s
            ) f
        ), holdout AS (
            -- After the feature, as everybody locks them.
            SELECT id FROM holdouts WHERE id = COALESCE(@Holdout, (SELECT held_by FROM adopted WHERE @Hashing = 'native'))
                AND environment_id = @EnvironmentId AND unit_key = @Unit AND retired_at IS NULL
                AND (SELECT count(*) FROM adopted) >= 0 FOR SHARE
        ), found AS (
            SELECT (SELECT count(*) FROM asked) = (SELECT count(*) FROM metric
                       WHERE directions_agree(direction, expected_direction)) AS has_metrics,
                   @Holdout::bigint IS NULL OR EXISTS (SELECT FROM holdout) AS has_holdout
        ), {FeatureView.Project}, defined AS (
            INSERT INTO features (project_id, name, options, default_value)
            SELECT p.id, @FeatureName, options_alone(options_of(options_given(@FeatureOptions::jsonb, '[]'), '[]')), @FeatureValue::jsonb
            FROM project p, found WHERE has_metrics AND has_holdout AND @FeatureName IS NOT NULL
            ON CONFLICT (project_id, folded(name)) WHERE deleted_at IS NULL DO NOTHING
            RETURNING *
        ), switched AS (
            INSERT INTO feature_states (environment_id, feature_id, project_id, initial_value)
            SELECT @EnvironmentId, id, project_id, default_value FROM defined
            RETURNING *
        ), made AS (
            SELECT f.*, {FeatureView.State} AS after
            FROM (SELECT {FeatureView.Here} FROM defined f JOIN switched s ON s.feature_id = f.id) f
        ), flag AS (
            SELECT *, options <> '[]' AS multivariate
            FROM (SELECT *, true AS split_fits FROM made UNION ALL SELECT * FROM adopted) either
        )
        """;

    private sealed class Reader : JsonConverter<FeatureChoice>
    {
        public override FeatureChoice Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.StartObject
                ? new(null, JsonSerializer.Deserialize<NewFeature>(ref reader, options))
                : new(JsonSerializer.Deserialize<long>(ref reader, options), null);

        public override void Write(Utf8JsonWriter writer, FeatureChoice value, JsonSerializerOptions options)
        {
            if (value.Id is { } id)
            {
                writer.WriteNumberValue(id);
            }
            else
            {
                JsonSerializer.Serialize(writer, value.New, options);
            }
        }
    }
}

/// <summary>A feature to be made with an experiment. Without variants it has control and test, evenly.</summary>
internal sealed record NewFeature(
    [property: Must(Required = true, MaxLength = 255)] string? Name = null,
    IReadOnlyList<VariantBody?>? Variants = null
)
{
    public IReadOnlyList<VariantBody?>? Variants { get; init; } = VariantBody.WithControl(Variants);
}
