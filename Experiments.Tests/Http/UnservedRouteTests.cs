namespace Experiments.Tests.Http;

/// <summary>What is not there is said to be not there, whoever asks.</summary>
public class UnservedRouteTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("/api/v1/nothing/")]
    [InlineData("/api/v1//flags/")]
    [InlineData("//api/v1/flags/")]
    [InlineData("/api/v2/environments/")]
    [InlineData("/favicon.ico")]
    public async Task A_path_that_does_not_exist_is_404_with_and_without_a_credential(string path)
    {
        foreach (var caller in new[] { service.As(null), service.Admin, service.As("Api-Key exp_unknown") })
        {
            (await caller.Get(path)).MustBe(404, "route.not_found").Headers.WwwAuthenticate.ShouldBeEmpty();
        }
    }

    [Theory]
    [InlineData("/api/v1/projects/", "GET,POST")]
    [InlineData("/api/v1/flags/", "GET")]
    [InlineData("/v1/events", "POST")]
    [InlineData("/health/ready", "GET")]
    public async Task A_method_that_a_path_does_not_have_is_405_with_those_that_it_has(string path, string allowed)
    {
        var refused = (await service.As(null).Send(HttpMethod.Put, path, null)).MustBe(405, "method.not_allowed");

        refused.ContentHeaders.Allow.Order().ShouldBe(allowed.Split(','));
    }

    [Theory]
    [InlineData("/api/v1/flags/", "DELETE", "GET")]
    [InlineData("/v1/events", "PUT", "POST")]
    public async Task So_is_a_preflight_for_one(string path, string method, string allowed)
    {
        var refused = await service
            .As(null)
            .Send(HttpMethod.Options, path, null, ("Origin", "https://shop.example"), ("Access-Control-Request-Method", method));

        refused.MustBe(405, "method.not_allowed").ContentHeaders.Allow.Order().ShouldBe(allowed.Split(','));
        refused.Headers.Contains("Access-Control-Allow-Origin").ShouldBeTrue();
    }

    [Theory]
    [InlineData("PUT", "/api/v1/flags/", true)]
    [InlineData("GET", "/v1/nothing", true)]
    [InlineData("GET", "/ofrep/v2/evaluate", true)]
    [InlineData("POST", "//ofrep/v1/evaluate/flags", true)]
    [InlineData("GET", "/api/v1//flags/", true)]
    [InlineData("POST", "//v1//events", true)]
    [InlineData("GET", "/track/nothing", true)]
    [InlineData("GET", "/api/v1/analytics/nothing", true)]
    [InlineData("GET", "//api/v1/nothing/", false)]
    [InlineData("GET", "/api/v1/nothing/", false)]
    [InlineData("PUT", "/api/v1/projects/", false)]
    public async Task Pages_may_read_that_where_applications_are_served(string method, string path, bool readable)
    {
        var refused = await service.As(null).Send(new HttpMethod(method), path, null, ("Origin", "https://shop.example"));

        refused.Headers.Contains("Access-Control-Allow-Origin").ShouldBe(readable);
    }

    [Fact]
    public async Task A_parameter_that_an_operation_does_not_have_is_named_and_nothing_is_done()
    {
        var given = await Given.AnEnvironment(service);
        var feature = await given.AFeature();

        (await given.Admin.Get($"{given.Experiments}?state=running")).MustName("state");
        (await given.Admin.Get($"{given.Features}?q=a&page=1&pagesize=5")).MustName("pagesize");
        (await given.Admin.Get($"{given.Features}{feature.Id}/?verbose=true")).MustName("verbose");
        (await given.Admin.Post($"{given.Features}?dry_run=true", new { name = "dry" })).MustName("dry_run");
        (await given.Admin.Delete($"{given.Features}{feature.Id}/?force=1")).MustName("force");
        (await given.Admin.Get("/api/v1/projects/?name=x")).MustName("name");
        (await given.Admin.Get(given.Features)).Must(200)["count"].GetValue<int>().ShouldBe(1);
        // SDKs send what they like.
        (await given.Sdk.Get("/api/v1/flags/?cache=no")).Must(200);
    }
}
