using Microsoft.Extensions.Options;

namespace Experiments.Tests.Operation;

public class SettingsTests
{
    [Theory]
    [InlineData("Requests:Deadline", "00:00:00")]
    [InlineData("Requests:Deadline", "-00:00:01")]
    [InlineData("Requests:Deadline", "1.00:00:00")]
    [InlineData("Requests:Drain", "-00:00:01")]
    [InlineData("Events:Retention", "00:00:01")]
    [InlineData("Cors:Origins", "https://a.example/path")]
    [InlineData("Cors:Origins", "*,https://a.example")]
    [InlineData("Audit:Retention", "00:00:01")]
    [InlineData("Results:LateEvents", "-1.00:00:00")]
    [InlineData("Results:MinimumInterval", "-00:00:01")]
    [InlineData("Requests:PerSecond", "5")]
    [InlineData("Requests:FailedSignInsPerMinute", "-1")]
    [InlineData("Requests:PublicAddress", "ftp://somewhere")]
    [InlineData("Results:FirstLookAfter", "00:00:00")]
    [InlineData("Pages:Oidc:Authority", "https://issuer.example")]
    public async Task A_setting_that_makes_no_sense_ends_the_start_and_says_what_would(string name, string value)
    {
        var failure = await Should.ThrowAsync<OptionsValidationException>(() =>
            TestService.Start(
                "Host=/nowhere",
                "--Logging:LogLevel:Default=None",
                "--Logging:LogLevel:Microsoft.Extensions.Hosting.Internal.Host=None",
                $"--{name}={value}"
            )
        );

        failure.Message.ShouldStartWith($"{name} must be ");
        failure.Message.ShouldContain("for example");
    }

    [Fact]
    public async Task A_setting_that_cannot_be_read_is_named()
    {
        var failure = await Should.ThrowAsync<InvalidOperationException>(() =>
            TestService.Start(
                "Host=/nowhere",
                "--Logging:LogLevel:Default=None",
                "--Logging:LogLevel:Microsoft.Extensions.Hosting.Internal.Host=None",
                "--Requests:Deadline=soon"
            )
        );

        failure.Message.ShouldContain("Requests:Deadline");
        failure.Message.ShouldContain("soon");
    }
}
