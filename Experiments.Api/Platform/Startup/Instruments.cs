using System.Diagnostics.Metrics;

namespace Experiments.Api.Platform.Startup;

/// <summary>The metrics that only this service has. Their names, as Prometheus spells them, stand in docs/operations/.</summary>
internal sealed class Instruments
{
    private readonly Meter _meter;

    public Instruments(IMeterFactory meters)
    {
        _meter = meters.Create(Telemetry.Meter);
        EventsAccepted = Counter("experiments.events.accepted", "{event}", "Events that were stored.");
        EventsDuplicate = Counter("experiments.events.duplicate", "{event}", "Valid events that had been stored before.");
        EventsRejected = Counter("experiments.events.rejected", "{event}", "Events that were not valid.");
        UnreadableDefinitions = Counter(
            "experiments.aggregation.unreadable_definitions",
            "{definition}",
            "Experiments and metrics that were skipped because their definition can't be read."
        );
        Results = Counter("experiments.results", "{result}", "Results that were read from the cache, computed, or failed, by outcome.");
        ResultsDuration = _meter.CreateHistogram(
            "experiments.results.duration",
            "s",
            "How long it took to compute results.",
            advice: new InstrumentAdvice<double>
            {
                HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
            }
        );
        RecommendationsChanged = Counter(
            "experiments.recommendations.changed",
            "{change}",
            "Recommendations that an hourly look changed. One that changes again and again deserves a look."
        );
        SampleRatioAlarms = Counter("experiments.sample_ratio.alarms", "{alarm}", "Experiments whose split an hourly look found broken.");
        RequestsRefused = Counter("experiments.requests.refused", "{request}", "Requests without access or beyond a limit, by status.");
        // A counter that is born with its first event shows no increase to an alert.
        Results.Add(0, new KeyValuePair<string, object?>("outcome", "failed"));
        foreach (var counter in new[] { UnreadableDefinitions, RecommendationsChanged, SampleRatioAlarms, EventsDuplicate, EventsRejected })
        {
            counter.Add(0);
        }
    }

    public Counter<long> EventsAccepted { get; }

    public Counter<long> EventsDuplicate { get; }

    public Counter<long> EventsRejected { get; }

    public Counter<long> UnreadableDefinitions { get; }

    public Counter<long> Results { get; }

    public Histogram<double> ResultsDuration { get; }

    public Counter<long> RecommendationsChanged { get; }

    public Counter<long> SampleRatioAlarms { get; }

    public Counter<long> RequestsRefused { get; }

    /// <summary>A value that is read whenever metrics are collected.</summary>
    public void Observe(string name, string unit, string description, Func<double> value) =>
        _meter.CreateObservableGauge(name, value, unit, description);

    private Counter<long> Counter(string name, string unit, string description) => _meter.CreateCounter<long>(name, unit, description);
}
