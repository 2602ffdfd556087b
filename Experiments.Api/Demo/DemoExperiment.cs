namespace Experiments.Api.Demo;

/// <summary>An experiment of the demo, and what its visitors do.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Hypothesis">What it is to show.</param>
/// <param name="Feature">The name of the feature it is made with.</param>
/// <param name="Variants">Its variants, control first; each serves its key.</param>
/// <param name="Metrics">The metrics that it is attached to, the primary one first.</param>
/// <param name="Visitors">How many visitors it has in all.</param>
/// <param name="Habits">What they do after they have seen it.</param>
internal sealed record DemoExperiment(
    string Name,
    string Hypothesis,
    string Feature,
    IReadOnlyList<string> Variants,
    IReadOnlyList<(string Metric, string Role)> Metrics,
    int Visitors,
    IReadOnlyList<DemoHabit> Habits
)
{
    /// <summary>How many days ago it was started.</summary>
    public int StartedDaysAgo { get; init; } = DemoWorld.Days;

    /// <summary>How many days ago it was completed, and its treatment shipped; null while it runs.</summary>
    public int? ShippedDaysAgo { get; init; }

    /// <summary>The share of visitors of the treatment of whom nothing arrives, as if a redirect lost them.</summary>
    public double Lost { get; init; }

    /// <summary>Whether some identities are held out of it.</summary>
    public bool HasHoldout { get; init; }

    /// <summary>The smallest relative effect that it is planned to find.</summary>
    public double? PlannedEffect { get; init; }

    /// <summary>One experiment for each state that a reader of results should know.</summary>
    public static readonly IReadOnlyList<DemoExperiment> All =
    [
        new(
            "One-page checkout",
            "If the checkout has one page instead of three, more visitors complete it, because there are fewer places to give up.",
            "checkout",
            ["control", "one_page"],
            [("Purchases", "primary"), ("Revenue per visitor", "secondary"), ("Page load time", "guardrail")],
            6000,
            [new("purchase", [0.105, 0.146]) { Value = 58 }, new("page_loaded", [1, 1]) { Value = 820, Spread = 0.22 }]
        )
        {
            PlannedEffect = 0.2,
        },
        new(
            "Product recommendations",
            "If the product page recommends similar products, visitors put more in the cart, because they find what they came for.",
            "recommendations",
            ["control", "similar"],
            [("Added to cart", "primary"), ("Revenue per visitor", "secondary")],
            500,
            [new("cart", [0.21, 0.22]), new("purchase", [0.1, 0.1]) { Value = 55 }]
        )
        {
            StartedDaysAgo = 2,
            PlannedEffect = 0.1,
        },
        new(
            "New search ranking",
            "If results are ranked by meaning, more visitors buy, because the first results fit what they typed.",
            "search_ranking",
            ["control", "semantic"],
            [("Purchases", "primary"), ("Page load time", "guardrail")],
            5000,
            [new("purchase", [0.11, 0.124]) { Value = 52 }, new("page_loaded", [1, 1]) { Value = 760, Spread = 0.25 }]
        )
        {
            Lost = 0.16,
        },
        new(
            "Upsell in the cart",
            "If the cart offers an extended warranty, revenue per visitor rises, because some visitors take it.",
            "cart_upsell",
            ["control", "warranty"],
            [("Added to cart", "primary"), ("Refunds", "guardrail"), ("Revenue per visitor", "secondary")],
            5000,
            [new("cart", [0.2, 0.262]), new("purchase", [0.1, 0.105]) { Value = 60 }, new("refund", [0.035, 0.078])]
        ),
        new(
            "Free shipping banner",
            "If free shipping is announced on every page, more visitors buy, because they need not look for it.",
            "shipping_banner",
            ["control", "banner"],
            [("Purchases", "primary"), ("Revenue per visitor", "secondary")],
            4500,
            [new("purchase", [0.08, 0.142]) { Value = 49 }]
        )
        {
            ShippedDaysAgo = 4,
            HasHoldout = true,
        },
    ];
}

/// <summary>What visitors do.</summary>
/// <param name="Event">The name of the event.</param>
/// <param name="Rate">By variant, the share of visitors who do it.</param>
internal sealed record DemoHabit(string Event, IReadOnlyList<double> Rate)
{
    /// <summary>The mean of the value that it carries; none without one.</summary>
    public double? Value { get; init; }

    /// <summary>How far values spread, as the standard deviation of their logarithm.</summary>
    public double Spread { get; init; } = 0.5;
}
