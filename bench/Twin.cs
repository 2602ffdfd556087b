using System.Buffers;
using System.Text.Json;
using Experiments.Api.Platform.Data;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Bench;

/// <summary>
/// The least that could answer the same requests: Kestrel, the same SQL through raw Npgsql with positional parameters, and a
/// JSON writer. No authentication, no authorisation, no gate, no validation, no problems, no deadline, no ETag.
/// </summary>
internal static class Twin
{
    private static readonly HashSet<string> Raw = ["variants", "feature", "metrics", "holdout", "exposure", "parameters", "experiments"];
    private static readonly HashSet<string> Unseen =
    [
        "etag",
        "before",
        "stale",
        "changed",
        "created",
        "running",
        "paused",
        "completed",
        "multivariate",
        "split_fits",
        "unknown_metrics",
        "contradicted_metrics",
        "feature_id",
        "has_holdout",
        "total",
    ];

    private static readonly Dictionary<string, IReadOnlyList<(string, IReadOnlyList<string>)>> Known = new[]
    {
        Statements.Get,
        Statements.List,
        Statements.Create,
        Statements.Start,
        Statements.GetHoldout,
        Statements.ListHoldouts,
        Statements.CreateHoldout,
        Statements.GetCohort,
        Statements.ListMembers,
        Statements.ListEventNames,
        Statements.Duplicate,
    }.ToDictionary(sql => sql, Statements.Positional);

    public static async Task Run(string connectionString, string address)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls(address);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);
        await using var app = builder.Build();
        await using var source = DatabaseSetup.Source(connectionString, TimeSpan.FromSeconds(3));
        var environments = await Environments(source);

        app.MapGet(
            "/api/v1/environments/{key}/experiments/{id:long}",
            (string key, long id, HttpResponse response) =>
                BufferedResponse(source, Statements.Get, response, name => name == "Id" ? id : environments[key], wrap: false)
        );
        app.MapGet(
            "/api/v1/environments/{key}/experiments",
            (string key, HttpResponse response) =>
                BufferedResponse(
                    source,
                    Statements.List,
                    response,
                    wrap: true,
                    value: name =>
                        name switch
                        {
                            "EnvironmentId" => environments[key],
                            "Archived" => false,
                            "Pattern" or "CreatedBy" or "Feature" => DBNull.Value,
                            "Statuses" => new[] { "created", "running", "paused", "completed" },
                            "Limit" => 20,
                            _ => 0L,
                        }
                )
        );
        app.MapPost(
            "/api/v1/environments/{key}/experiments",
            async (string key, HttpRequest request, HttpResponse response) =>
            {
                using var body = await JsonDocument.ParseAsync(request.Body);
                var root = body.RootElement;
                response.StatusCode = 201;
                await BufferedResponse(
                    source,
                    Statements.Create,
                    response,
                    wrap: false,
                    value: name =>
                        name switch
                        {
                            "EnvironmentId" => environments[key],
                            "Feature" => root.GetProperty("feature").GetInt64(),
                            "Name" => root.GetProperty("name").GetString()!,
                            "Hypothesis" => root.GetProperty("hypothesis").GetString()!,
                            "Description" => "",
                            "Type" => "product",
                            "Rollout" => 100m,
                            "Transforms" or "Exposure" => "{}",
                            "Breakdowns" => Array.Empty<string>(),
                            "Unit" => "",
                            "Hashing" => "native",
                            "Aa" => false,
                            "DefaultMargin" => 0.1,
                            "FeatureValue" => "\"control\"",
                            "Actor" => "api-key:1",
                            _ => DBNull.Value,
                        }
                );
            }
        );
        app.MapPost(
            "/api/v1/environments/{key}/holdouts",
            async (string key, HttpRequest request, HttpResponse response) =>
            {
                using var body = await JsonDocument.ParseAsync(request.Body);
                var root = body.RootElement;
                response.StatusCode = 201;
                await BufferedResponse(
                    source,
                    Statements.CreateHoldout,
                    response,
                    wrap: false,
                    value: name =>
                        name switch
                        {
                            "EnvironmentId" => environments[key],
                            "Name" => root.GetProperty("name").GetString()!,
                            "Percentage" => root.GetProperty("percentage").GetDecimal(),
                            "Description" or "Unit" => "",
                            _ => "api-key:1",
                        }
                );
            }
        );
        foreach (var (path, sql) in new[] { ("holdouts/{id:long}", Statements.GetHoldout), ("cohorts/{id:long}", Statements.GetCohort) })
        {
            app.MapGet(
                $"/api/v1/environments/{{key}}/{path}",
                (string key, long id, HttpResponse response) =>
                    BufferedResponse(source, sql, response, name => name == "Id" ? id : environments[key], wrap: false)
            );
        }

        foreach (
            var (path, sql) in new[]
            {
                ("holdouts", Statements.ListHoldouts),
                ("events/names", Statements.ListEventNames),
                ("cohorts/{id:long}/members", Statements.ListMembers),
            }
        )
        {
            app.MapGet(
                $"/api/v1/environments/{{key}}/{path}",
                (string key, long? id, HttpResponse response) =>
                    BufferedResponse(
                        source,
                        sql,
                        response,
                        wrap: true,
                        value: name =>
                            name switch
                            {
                                "EnvironmentId" => environments[key],
                                "Id" => id!,
                                "Pattern" => DBNull.Value,
                                "Limit" => 20,
                                _ => 0L,
                            }
                    )
            );
        }

        app.MapPost(
            "/api/v1/environments/{key}/experiments/{id:long}/duplicate",
            async (string key, long id, HttpRequest request, HttpResponse response) =>
            {
                using var body = await JsonDocument.ParseAsync(request.Body);
                var feature = body.RootElement.GetProperty("feature").GetInt64();
                response.StatusCode = 201;
                await BufferedResponse(
                    source,
                    Statements.Duplicate,
                    response,
                    wrap: false,
                    value: name =>
                        name switch
                        {
                            "EnvironmentId" or "Target" => environments[key],
                            "Id" => id,
                            "Feature" => feature,
                            "Actor" => "api-key:1",
                            _ => DBNull.Value,
                        }
                );
            }
        );
        app.MapPost(
            "/api/v1/environments/{key}/experiments/{id:long}/start",
            (string key, long id, HttpResponse response) =>
                BufferedResponse(
                    source,
                    Statements.Start,
                    response,
                    wrap: false,
                    value: name =>
                        name switch
                        {
                            "EnvironmentId" => environments[key],
                            "Id" => id,
                            "From" => new[] { "created", "paused" },
                            "Action" => "experiment.started",
                            "Actor" => "api-key:1",
                            _ => DBNull.Value,
                        }
                )
        );
        await app.RunAsync();
    }

    private static async Task<Dictionary<string, long>> Environments(NpgsqlDataSource source)
    {
        var found = new Dictionary<string, long>();
        await using var command = source.CreateCommand("SELECT key, id FROM environments");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            found[reader.GetString(0)] = reader.GetInt64(1);
        }

        return found;
    }

    private static async Task BufferedResponse(
        NpgsqlDataSource source,
        string sql,
        HttpResponse response,
        Func<string, object> value,
        bool wrap
    )
    {
        await using var connection = await source.OpenConnectionAsync();
        await using var batch = new NpgsqlBatch(connection);
        foreach (var (text, names) in Known[sql])
        {
            var command = new NpgsqlBatchCommand(text);
            foreach (var name in names)
            {
                var given = value(name);
                command.Parameters.Add(
                    given is DBNull
                        ? new NpgsqlParameter
                        {
                            Value = given,
                            NpgsqlDbType = name switch
                            {
                                "IfMatch" => NpgsqlDbType.Array | NpgsqlDbType.Text,
                                "Holdout" or "Feature" or "Connection" => NpgsqlDbType.Bigint,
                                _ => NpgsqlDbType.Text,
                            },
                        }
                        : new NpgsqlParameter { Value = given }
                );
            }

            batch.BatchCommands.Add(command);
        }

        var body = new ArrayBufferWriter<byte>(1024);
        await using (var reader = await batch.ExecuteReaderAsync())
        {
            if (batch.BatchCommands.Count > 1)
            {
                await reader.NextResultAsync();
            }

            await using var json = new Utf8JsonWriter(body);
            if (wrap)
            {
                json.WriteStartObject();
                json.WriteStartArray("results");
            }

            while (await reader.ReadAsync())
            {
                Write(json, reader);
            }

            if (wrap)
            {
                json.WriteEndArray();
                json.WriteEndObject();
            }
        }

        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = body.WrittenCount;
        await response.BodyWriter.WriteAsync(body.WrittenMemory);
    }

    private static void Write(Utf8JsonWriter json, NpgsqlDataReader reader)
    {
        json.WriteStartObject();
        for (var column = 0; column < reader.FieldCount; column++)
        {
            var name = reader.GetName(column);
            if (Unseen.Contains(name))
            {
                continue;
            }

            json.WritePropertyName(name);
            if (reader.IsDBNull(column))
            {
                json.WriteNullValue();
            }
            else if (Raw.Contains(name) && reader.GetFieldType(column) == typeof(string))
            {
                json.WriteRawValue(reader.GetString(column), skipInputValidation: true);
            }
            else
            {
                switch (reader.GetDataTypeName(column))
                {
                    case "bigint":
                        json.WriteNumberValue(reader.GetInt64(column));
                        break;
                    case "integer":
                        json.WriteNumberValue(reader.GetInt32(column));
                        break;
                    case "numeric":
                        json.WriteNumberValue(reader.GetDecimal(column));
                        break;
                    case "text[]":
                        json.WriteStartArray();
                        foreach (var text in reader.GetFieldValue<string[]>(column))
                        {
                            json.WriteStringValue(text);
                        }

                        json.WriteEndArray();
                        break;
                    case "boolean":
                        json.WriteBooleanValue(reader.GetBoolean(column));
                        break;
                    case "timestamp with time zone":
                        json.WriteStringValue(reader.GetDateTime(column));
                        break;
                    default:
                        json.WriteStringValue(reader.GetString(column));
                        break;
                }
            }
        }

        json.WriteEndObject();
    }
}
