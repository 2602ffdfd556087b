using System.Collections.Concurrent;
using System.Text.Json.Nodes;

namespace Experiments.Api.Demo;

/// <summary>Fills the demo project: two weeks of visitors, day by day, through the public API.</summary>
internal sealed class DemoWorld(DemoClient client, DemoClock clock, string environment, Action<string> tell)
{
    /// <summary>How many days it goes back.</summary>
    public const int Days = 14;

    private const int EventsInARequest = 1000;
    private const int AtOnce = 4;

    private static readonly string[] Breakdowns = ["country", "device"];
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    private readonly Dictionary<DemoExperiment, long> _ids = [];

    private string Path => $"/api/v1/environments/{environment}";

    public async Task Fill(CancellationToken ct)
    {
        await Declare(ct);
        // Snapshots follow within a second.
        await Task.Delay(TimeSpan.FromSeconds(2), ct);
        var now = DateTime.UtcNow;
        for (var daysAgo = Days; daysAgo > 0; daysAgo--)
        {
            tell($"Demo: day {Days - daysAgo + 1} of {Days}");
            var running = DemoExperiment.All.Where(experiment =>
                experiment.StartedDaysAgo >= daysAgo && daysAgo > (experiment.ShippedDaysAgo ?? 0)
            );
            var events = new List<object>();
            foreach (var experiment in running)
            {
                events.AddRange(await Visits(experiment, now, daysAgo, ct));
            }

            await Task.WhenAll(events.Chunk(EventsInARequest).Select(chunk => client.SendEvents(environment, chunk, ct)));
            await Count(daysAgo, ct);
        }

        foreach (var (experiment, id) in _ids)
        {
            await Finish(experiment, id, ct);
        }
    }

    // Visitors keep coming, for whoever wants to watch an experiment grow.
    public async Task GoOn(CancellationToken ct)
    {
        foreach (var experiment in DemoExperiment.All.Where(experiment => experiment.ShippedDaysAgo is null))
        {
            _ids.TryAdd(experiment, 0);
        }

        for (var n = DateTimeOffset.UtcNow.ToUnixTimeSeconds(); !ct.IsCancellationRequested; n++)
        {
            foreach (var experiment in _ids.Keys.Where(experiment => experiment.ShippedDaysAgo is null))
            {
                var identifier = $"live-{n}";
                var variant = await client.Variant(environment, experiment.Feature, identifier, ct);
                await client.SendEvents(
                    environment,
                    [.. DemoVisitors.Events(experiment, identifier, variant, DateTime.UtcNow.AddSeconds(-60), TimeSpan.FromSeconds(60))],
                    ct
                );
            }

            await Task.Delay(TimeSpan.FromMilliseconds(200), ct);
        }
    }

    private async Task Declare(CancellationToken ct)
    {
        var metrics = new Dictionary<string, long>();
        foreach (var metric in DemoMetric.All)
        {
            metrics[metric.Name] = Id(
                await client.Post(
                    $"{Path}/metrics/",
                    new
                    {
                        name = metric.Name,
                        aggregation = metric.Aggregation,
                        direction = metric.Direction,
                        definition = metric.Definition,
                        margin = metric.Margin,
                    },
                    ct
                )
            );
        }

        var holdout = Id(
            await client.Post(
                $"{Path}/holdouts/",
                new
                {
                    name = "Never in an experiment",
                    percentage = 10,
                    description = "",
                },
                ct
            )
        );
        foreach (var experiment in DemoExperiment.All)
        {
            var id = Id(
                await client.Post(
                    $"{Path}/experiments/",
                    new
                    {
                        name = experiment.Name,
                        hypothesis = experiment.Hypothesis,
                        feature = new
                        {
                            name = experiment.Feature,
                            variants = experiment.Variants.Select(key => new
                            {
                                key,
                                value = key,
                                weight = 100.0 / experiment.Variants.Count,
                            }),
                        },
                        holdout = experiment.HasHoldout ? holdout : (long?)null,
                        breakdowns = Breakdowns,
                        metrics = experiment.Metrics.Select(metric => new { metric = metrics[metric.Metric], role = metric.Role }),
                    },
                    ct
                )
            );
            await client.Post($"{Path}/experiments/{id}/start/", null, ct);
            await clock.Started(id, experiment.StartedDaysAgo * Day, ct);
            _ids[experiment] = id;
        }
    }

    // Those who come on one of the days that the experiment runs.
    private async Task<IEnumerable<object>> Visits(DemoExperiment experiment, DateTime now, int daysAgo, CancellationToken ct)
    {
        var days = experiment.StartedDaysAgo - (experiment.ShippedDaysAgo ?? 0);
        var day = experiment.StartedDaysAgo - daysAgo;
        var (first, last) = (experiment.Visitors * day / days, experiment.Visitors * (day + 1) / days);
        var events = new ConcurrentDictionary<int, IReadOnlyList<object>>();
        await Parallel.ForEachAsync(
            Enumerable.Range(first, last - first),
            new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = ct },
            async (n, stop) =>
            {
                var identifier = $"{experiment.Feature}-{n}";
                var variant = await client.Variant(environment, experiment.Feature, identifier, stop);
                events[n] = [.. DemoVisitors.Events(experiment, identifier, variant, now - (daysAgo * Day), Day)];
            }
        );
        return events.OrderBy(visitor => visitor.Key).SelectMany(visitor => visitor.Value);
    }

    // Waits until the events of a day are counted, and lets the results of all that ran be those of that day.
    private async Task Count(int daysAgo, CancellationToken ct)
    {
        while ((await client.Get($"{Path}/experiments/{_ids.Values.First()}/exposures/", ct))["events_not_counted"]!.GetValue<long>() > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), ct);
        }

        foreach (var (experiment, id) in _ids)
        {
            if (experiment.StartedDaysAgo >= daysAgo && daysAgo > (experiment.ShippedDaysAgo ?? 0))
            {
                await client.Post($"{Path}/experiments/{id}/results/refresh/", null, ct);
            }
        }

        await clock.DayIsOver(daysAgo - 1, ct);
    }

    private async Task Finish(DemoExperiment experiment, long id, CancellationToken ct)
    {
        if (experiment.PlannedEffect is { } effect)
        {
            await client.Post($"{Path}/experiments/{id}/plan/", new { minimum_detectable_effect = effect }, ct);
        }

        if (experiment.ShippedDaysAgo is { } shipped)
        {
            await client.Post(
                $"{Path}/experiments/{id}/complete/",
                new
                {
                    conclusion = "won",
                    comment = "More visitors buy, on phones and on desktops.",
                    ship = experiment.Variants[^1],
                },
                ct
            );
            await clock.Ended(id, shipped * Day, ct);
        }
    }

    private static long Id(JsonNode made) => made["id"]!.GetValue<long>();
}
