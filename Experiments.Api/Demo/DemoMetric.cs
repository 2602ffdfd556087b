namespace Experiments.Api.Demo;

/// <summary>A metric of the demo.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Aggregation">What is taken from the events.</param>
/// <param name="Direction">Whether more of it is better.</param>
/// <param name="Definition">Which events it is about.</param>
/// <param name="Margin">As a guardrail, by how much it may get worse.</param>
internal sealed record DemoMetric(string Name, string Aggregation, string Direction, object Definition, double? Margin = null)
{
    public static readonly IReadOnlyList<DemoMetric> All =
    [
        new("Purchases", "occurrence", "up", new { @event = "purchase" }),
        new("Revenue per visitor", "sum", "up", new { @event = "purchase", property = "value" }),
        new("Added to cart", "occurrence", "up", new { @event = "cart" }),
        new("Page load time", "mean", "down", new { @event = "page_loaded", property = "value" }, 0.05),
        new("Refunds", "occurrence", "down", new { @event = "refund" }, 0.1),
    ];
}
