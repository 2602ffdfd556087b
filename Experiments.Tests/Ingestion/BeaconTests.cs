using System.Text.Json.Nodes;

namespace Experiments.Tests.Ingestion;

/// <summary>What a page sends that is being left: no header of its own, and only what needs no preflight.</summary>
public class BeaconTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Form = "application/x-www-form-urlencoded";
    private static readonly string Json =
        """{"events": [{"event": "left & gone", "identifier": "café+1", "value": "100 %", "timestamp": """
        + $"{DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()}"
        + "}]}";

    [Theory]
    [InlineData("text/plain")]
    [InlineData("text/plain;charset=UTF-8")]
    [InlineData("application/json")]
    public async Task The_key_may_be_in_the_query_and_the_body_be_text(string type)
    {
        var given = await Given.AnEnvironment(service);

        (await service.As(null).PostText(Path(given.Key), Json, type)).Must(202);

        await Keeps(given);
    }

    [Theory]
    [InlineData("data={0}")]
    [InlineData("ver=1&data={0}")]
    [InlineData("data={0}&ver=1")]
    [InlineData("=&&data={0}&data=7")]
    public async Task A_form_has_the_json_in_its_field(string form)
    {
        var given = await Given.AnEnvironment(service);
        var spaced = Uri.EscapeDataString(Json).Replace("%20", "+", StringComparison.Ordinal);

        (await service.As(null).PostText(Path(given.Key), form.Replace("{0}", spaced, StringComparison.Ordinal), Form)).Must(202);

        await Keeps(given);
    }

    [Theory]
    [InlineData("")]
    [InlineData("ver=1")]
    [InlineData("metadata=1")]
    [InlineData("data")]
    public async Task A_form_without_the_field_is_refused(string form)
    {
        var given = await Given.AnEnvironment(service);

        (await service.As(null).PostText(Path(given.Key), form, Form)).MustBe(400, "request.invalid").Fields.ShouldBe(["data"]);
    }

    [Theory]
    [InlineData("data=")]
    [InlineData("data=%7B")]
    [InlineData("data=%FF%FE")]
    [InlineData("data=%zz")]
    public async Task A_field_that_is_not_json_is_refused(string form)
    {
        var given = await Given.AnEnvironment(service);

        (await service.As(null).PostText(Path(given.Key), form, Form)).MustBe(400, "request.malformed");
    }

    [Theory]
    [InlineData("/v1/events", 401, "environment_key.missing")]
    [InlineData("/v1/events?environment_key=", 401, "environment_key.missing")]
    [InlineData("/v1/events?environment_key=unknown", 403, "environment_key.unknown")]
    public async Task Without_a_key_nothing_is_taken(string path, int status, string code) =>
        (await service.As(null).PostText(path, Json, "text/plain")).MustBe(status, code);

    [Fact]
    public async Task The_header_comes_before_the_query()
    {
        var (given, other) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));

        (await given.Sdk.PostText(Path(other.Key), Json)).Must(202);

        (await given.Stored()).Count.ShouldBe(1);
        (await other.Stored()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Other_routes_take_no_key_in_the_query()
    {
        var given = await Given.AnEnvironment(service);

        (await service.As(null).Get($"/api/v1/flags/?environment_key={given.Key}")).MustBe(401, "environment_key.missing");
    }

    private static string Path(string key) => $"/v1/events?environment_key={key}";

    private static async Task Keeps(Given given)
    {
        var stored = JsonNode.Parse((await given.Stored()).ShouldHaveSingleItem())!;
        (stored["event"]!.GetValue<string>(), stored["identifier"]!.GetValue<string>(), stored["value"]!.GetValue<string>()).ShouldBe(
            ("left & gone", "café+1", "100 %")
        );
    }
}
