using System.Text.Json.Serialization;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.MetricDefinitions;

/// <summary>Which events a metric is about and what is taken from them.</summary>
/// <param name="Version">The version of the format: 1, or absent.</param>
/// <param name="Event">The name of the event; of a ratio, of its numerator; of retention, of the first event, or if it starts at the
/// exposure, of the return.</param>
/// <param name="Filters">The conditions that an event must meet to count.</param>
/// <param name="Property">Where the number is: <c>value</c>, or <c>metadata.</c> and a member's name. A ratio without it counts
/// events.</param>
/// <param name="AtLeast">The threshold from which on the value of an identity counts as a conversion.</param>
/// <param name="Denominator">The other event of a ratio.</param>
/// <param name="Steps">The events of a funnel, in order.</param>
/// <param name="Order">Whether the steps of a funnel must be completed in order: <c>strict</c> (the default) or <c>any</c>.</param>
/// <param name="Exclusions">Events that break a funnel if they happen between its first and its last step.</param>
/// <param name="WindowHours">Within how many hours of its first step a funnel must be completed.</param>
/// <param name="ReturnEvent">For retention, the event that counts as a return; by default the first event again.</param>
/// <param name="StartsAt">For retention, what the delays are counted from: the first <c>event</c> (the default) or the
/// <c>exposure</c>.</param>
/// <param name="FromHours">For retention, how many hours after the start a return begins to count.</param>
/// <param name="ToHours">For retention, how many hours after the start a return stops counting.</param>
/// <param name="ConversionWindowHours">For how many hours after its first exposure an identity's events count; for retention, how long
/// after it the first event counts.</param>
/// <param name="Maturity">When an identity counts: <c>complete</c> (the default), once its conversion or retention window is over, or
/// <c>all</c>, at once.</param>
/// <param name="Winsorize">The limits to which values are clamped.</param>
/// <param name="Quantiles">The quantiles of the values that results show, from 0 to 1.</param>
/// <param name="LookbackDays">For how many days before its first exposure an identity's values are taken as the covariate (CUPED).</param>
internal sealed record MetricDefinition(
    [property: Must(Minimum = 1, Maximum = 1, Default = 1)] int? Version = null,
    string? Event = null,
    IReadOnlyList<MetricFilter?>? Filters = null,
    string? Property = null,
    double? AtLeast = null,
    MetricSource? Denominator = null,
    [property: Must(MinItems = 2, MaxItems = 10)] IReadOnlyList<MetricSource?>? Steps = null,
    [property: Words("strict", MetricDefinition.AnyOrder)] string? Order = null,
    [property: Must(MinItems = 1, MaxItems = 10)] IReadOnlyList<MetricSource?>? Exclusions = null,
    [property: Must(Above = 0, Maximum = 9600)] double? WindowHours = null,
    MetricSource? ReturnEvent = null,
    [property: Words("event", MetricDefinition.AtExposure)] string? StartsAt = null,
    [property: Must(Minimum = 0, Maximum = 9600)] double? FromHours = null,
    [property: Must(Above = 0, Maximum = 9600)] double? ToHours = null,
    [property: Must(Above = 0, Maximum = 9600)] double? ConversionWindowHours = null,
    [property: Words("complete", MetricDefinition.AllIdentities)] string? Maturity = null,
    Winsorization? Winsorize = null,
    [property: Must(MinItems = 1, MaxItems = 5)] IReadOnlyList<double>? Quantiles = null,
    [property: Must(Above = 0, Maximum = 30)] double? LookbackDays = null
)
{
    public const string AnyOrder = "any";
    public const string AtExposure = "exposure";
    public const string AllIdentities = "all";

    public static readonly string[] Orders = ["strict", AnyOrder];
    public static readonly string[] Starts = ["event", AtExposure];
    public static readonly string[] Maturities = ["complete", AllIdentities];

    /// <summary>
    /// The events, by slot: the only one, or numerator and denominator, or the steps and exclusions of a funnel, or the first event and the
    /// return.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<MetricSource> Sources =>
        Steps is { Count: > 0 } steps ? [.. steps.Concat(Exclusions ?? []).Select(step => step!)]
        : (Denominator ?? ReturnEvent) is { } other ? [new(Event, Filters, Property), other]
        : [new(Event, Filters, Property)];

    /// <summary>Whether retention is counted from the exposure, so that every identity can be retained.</summary>
    [JsonIgnore]
    public bool StartsAtExposure => StartsAt == AtExposure;

    /// <summary>
    /// For how long after its exposure the value of an identity is open, while the experiment runs; null if it is so until the end, or if
    /// identities count at once.
    /// </summary>
    [JsonIgnore]
    public TimeSpan? Window =>
        Maturity == AllIdentities ? null
        : StartsAtExposure ? Hours(ToHours)
        : ToHours is null && ConversionWindowHours is not null ? Hours(ConversionWindowHours)
        : null;

    /// <summary>For how long windows may run on after the end of the experiment.</summary>
    [JsonIgnore]
    public TimeSpan RunsOn =>
        Maturity == AllIdentities ? TimeSpan.Zero : Hours((StartsAtExposure ? 0 : ConversionWindowHours ?? 0) + (ToHours ?? 0))!.Value;

    /// <summary>A length of time, to the millisecond like the timestamps of events.</summary>
    public static TimeSpan? Hours(double? hours) => hours is { } given ? TimeSpan.FromMilliseconds(Math.Round(given * 3_600_000)) : null;
}

/// <summary>
/// The limits to which values are clamped: percentiles from 0 to 1, over all arms together, or an absolute cap. Percentiles are those of
/// the values other than 0 (<c>non_zero</c>, the default), or of all identities (<c>all</c>).
/// </summary>
internal sealed record Winsorization(
    [property: Must(Minimum = 0, Below = 1)] double? Lower = null,
    [property: Must(Above = 0, Maximum = 1)] double? Upper = null,
    [property: Must(Above = 0)] double? Cap = null,
    [property: Words("non_zero", Winsorization.AllValues)] string? Of = null
)
{
    public const string AllValues = "all";

    public static readonly string[] Populations = ["non_zero", AllValues];

    [JsonIgnore]
    public bool CountsZeros => Of == AllValues;
}
