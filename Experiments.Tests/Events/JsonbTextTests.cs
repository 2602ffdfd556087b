using System.Globalization;
using Experiments.Api.ClickHouse;

namespace Experiments.Tests.Events;

/// <summary>JSON is written as PostgreSQL writes it.</summary>
public class JsonbTextTests(SharedService service) : IClassFixture<SharedService>
{
    private static readonly string[] Numbers =
    [
        "0",
        "-0",
        "-0.0",
        "0.00",
        "0e5",
        "0e99",
        "0e-99",
        "0e-5",
        "-0e-3",
        "1e3",
        "1E+3",
        "1.50",
        "1.50e1",
        "1.5e3",
        "-1.5e-3",
        "100e-2",
        "123456e-3",
        "123456e-9",
        "9007199254740993",
        "1e64",
        "1e-64",
    ];

    private static readonly string[] Texts =
    [
        "",
        "a",
        "b",
        "é",
        "zz",
        "\\u00e9",
        "\\/",
        "/",
        "\\\"",
        "\\\\",
        "\\b\\f\\n\\r\\t",
        "\\u0001",
        "\\u001f",
        "\\u007f",
        "\\ud83d\\ude00",
        "😀",
        "<&'>",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task As_the_database_does(int seed)
    {
        var random = new Random(seed);
        string[] written = [.. Numbers, .. Texts.Select(text => $"\"{text}\""), .. Enumerable.Range(0, 500).Select(_ => Value(random, 0))];

        var expected = await service.QueryAll<string>(
            "SELECT (json::jsonb)::text FROM unnest(@written) WITH ORDINALITY AS w(json, n) ORDER BY n",
            new { written }
        );

        written.Select(JsonbText.Of).ShouldBe(expected);
        expected.Select(JsonbText.Of).ShouldBe(expected);
    }

    private static string Value(Random random, int depth) =>
        random.Next(depth > 3 ? 4 : 7) switch
        {
            0 => Numbers[random.Next(Numbers.Length)],
            1 => $"{random.Next(-9999, 9999)}.{random.Next(1000).ToString("000", CultureInfo.InvariantCulture)}e{random.Next(-20, 20)}",
            2 => $"\"{Texts[random.Next(Texts.Length)]}{Texts[random.Next(Texts.Length)]}\"",
            3 => new[] { "true", "false", "null" }[random.Next(3)],
            4 => $"[ {string.Join(" ,", Enumerable.Range(0, random.Next(4)).Select(_ => Value(random, depth + 1)))}]",
            // The names differ in their beginning, so that none is there twice.
            _ =>
                $"{{{string.Join(" , ", Enumerable.Range(0, random.Next(6)).Select(n =>
                    $"\"{n}{Texts[random.Next(Texts.Length)]}\" :{Value(random, depth + 1)}"))} }}",
        };
}
