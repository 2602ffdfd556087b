using System.Text.Json;

namespace Experiments.Tests.Operation;

/// <summary>What is logged can be used: it says when, for which request, and why somebody was refused.</summary>
public class LogTests(TestCluster cluster)
{
    [Fact]
    public async Task A_line_has_its_time_its_request_and_its_trace_and_a_refusal_says_who_and_why()
    {
        await using var replica = await Replica.Start(await cluster.NewDatabase(), "--environment=Production");
        const string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        (
            await new Client(replica.Address, "Api-Key exp_nobodys").Get(
                "/api/v1/projects/",
                ("X-Request-Id", "a-request-of-mine"),
                ("traceparent", $"00-{trace}-00f067aa0ba902b7-01")
            )
        ).Must(401);

        string? line = null;
        await Given.Eventually(() =>
            Task.FromResult(
                (line = replica.Output.FirstOrDefault(text => text.Contains("Refused with 401", StringComparison.Ordinal))) is not null
            )
        );

        using var logged = JsonDocument.Parse(line!);
        logged.RootElement.GetProperty("Timestamp").GetDateTime().ShouldBe(DateTime.UtcNow, TimeSpan.FromMinutes(1));
        logged
            .RootElement.GetProperty("Message")
            .GetString()
            .ShouldBe("Refused with 401: GET /api/v1/projects/ by somebody from 127.0.0.1: unknown, expired or revoked API key");
        line!.ShouldContain("a-request-of-mine");
        line!.ShouldContain(trace);
        line!.ShouldNotContain("exp_nobodys");
        replica.Output.Count(text => text.Contains("a-request-of-mine", StringComparison.Ordinal)).ShouldBe(1);
    }
}
