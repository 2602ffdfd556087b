using Experiments.Api.Warehouse;

namespace Experiments.Tests.Warehouse;

/// <summary>What counts as an object of JSON in a row of a warehouse.</summary>
public class JsonTextTests
{
    [Theory]
    [InlineData("""{"a": 1}""", """{"a": 1}""")]
    [InlineData(""" {"a": {"b": ["\ud83d\ude00"]}} """, """ {"a": {"b": ["\ud83d\ude00"]}} """)]
    [InlineData(""" "{\"a\": 1}" """, """{"a": 1}""")]
    [InlineData(""" "\n {\"a\": 1}" """, "\n {\"a\": 1}")]
    [InlineData("""{"path": "C:\\u0000"}""", """{"path": "C:\\u0000"}""")]
    [InlineData("""["{\"a\": 1}"]""", null)]
    [InlineData(""" "[1]" """, null)]
    [InlineData(""" "\"{}\"" """, null)]
    [InlineData("""{"a": "\ud83d"}""", null)]
    [InlineData("""{"\ud83d": 1}""", null)]
    [InlineData(""" "{\"a\": \"\\ud83d\"}" """, null)]
    [InlineData("""{"a": "\u0000"}""", null)]
    [InlineData("""{"a": 1""", null)]
    [InlineData("""{} {}""", null)]
    [InlineData("no JSON", null)]
    [InlineData("", null)]
    [InlineData("7", null)]
    [InlineData(null, null)]
    public void An_object_is_kept_as_it_is_and_anything_else_is_none(string? text, string? expected) =>
        JsonText.Object(text).ShouldBe(expected);
}
