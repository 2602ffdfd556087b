using System.Text.Json;
using Dapper;
using Experiments.Api.Domain;
using Npgsql;

namespace Experiments.Tests.Events;

/// <summary>The unit of an event is the same whether the service or the database finds it.</summary>
public class UnitKeyTests(SharedService service) : IClassFixture<SharedService>
{
    private static readonly string[] Values =
    [
        "\"acme\"",
        "\"\"",
        "\" \"",
        "\"\\u00fc\\ud83d\\ude00\"",
        "7",
        "-7",
        "0",
        "-0",
        "-0.0",
        "1.50",
        "-1.50",
        "1e3",
        "1E+3",
        "1.5e3",
        "1.50e1",
        "1.234e2",
        "12e-3",
        "1e-7",
        "-1e-7",
        "0e5",
        "0.00e1",
        "1e30",
        "123456789012345678901234567890",
        "1e1999",
        "1e2000",
        "1e-1998",
        "1e-2001",
        "true",
        "null",
        "[]",
        "{}",
        $"\"{new string('x', 2000)}\"",
        $"\"{new string('x', 2001)}\"",
    ];

    [Fact]
    public async Task The_service_and_the_database_find_the_same_unit()
    {
        var documents = Values.Select(value => $$"""{"unit": {{value}}, "other": 1}""").Append("{}").Append(null).ToList();
        var pairs = documents.SelectMany(traits => documents.Select(metadata => (traits, metadata))).ToList();
        await using var connection = new NpgsqlConnection(service.ConnectionString);

        var expected = (
            await connection.QueryAsync<string?>(
                "SELECT unit_of('unit', NULL, t::jsonb, m::jsonb) FROM unnest(@Traits, @Metadata) WITH ORDINALITY AS g(t, m, n) ORDER BY n",
                new { Traits = pairs.Select(pair => pair.traits).ToArray(), Metadata = pairs.Select(pair => pair.metadata).ToArray() }
            )
        ).AsList();

        foreach (var ((traits, metadata), unit) in pairs.Zip(expected))
        {
            UnitKey.ValueOf("unit", Root(traits), Root(metadata)).ShouldBe(unit, $"{traits} {metadata}");
        }
    }

    private static JsonElement? Root(string? json) => json is null ? null : JsonDocument.Parse(json).RootElement;
}
