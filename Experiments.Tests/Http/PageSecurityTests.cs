namespace Experiments.Tests.Http;

public class PageSecurityTests(SharedService service) : IClassFixture<SharedService>
{
    [Theory]
    [InlineData("/docs/")]
    [InlineData("/errors")]
    public async Task A_page_is_shown_in_nobody_elses_frame_and_loads_nothing_from_elsewhere(string path)
    {
        var page = (await service.As(null).Get(path)).Must(200);

        page.Headers.GetValues("X-Frame-Options").ShouldBe(["DENY"]);
        page.Headers.GetValues("Content-Security-Policy").Single().ShouldContain("default-src 'self'");
        page.Headers.GetValues("Content-Security-Policy").Single().ShouldContain("frame-ancestors 'none'");
        page.Headers.GetValues("X-Content-Type-Options").ShouldBe(["nosniff"]);
    }
}
