using Experiments.Api.Domain;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Tests.Results;

public class MetricValueTests
{
    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    // Runs from nine to three, except for the hour from one to two.
    private static readonly Timeline Timeline = new(
        [(Noon.AddHours(-3), Noon.AddHours(1)), (Noon.AddHours(2), Noon.AddHours(3))],
        [],
        100,
        Noon.AddHours(3)
    );

    [Theory]
    [InlineData("occurrence", 1)]
    [InlineData("count", 3)]
    [InlineData("sum", 60)]
    [InlineData("mean", 60)]
    [InlineData("max", 30)]
    [InlineData("min", 10)]
    [InlineData("count_distinct", 3)]
    public void Events_from_the_exposure_on_count_while_the_experiment_runs(string aggregation, double expected)
    {
        var events = Events((-1, 0, 100), (0, 0, 10), (0.5, 0, 20), (1.5, 0, 1000), (2.5, 0, 30), (3.5, 0, 1000));

        ValueOf(aggregation, new(Event: "e"), events, Noon, Timeline).Y.ShouldBe(expected);
    }

    [Fact]
    public void A_mean_is_over_events()
    {
        var value = ValueOf("mean", new(Event: "e"), Events((0, 0, 10), (0.5, 0, 20), (0.6, 0, double.NaN)), Noon, Timeline);

        (value.Y, value.D, value.NotNumbers).ShouldBe((30, 2, 1));
    }

    [Theory]
    [InlineData("count", 2, 1)]
    [InlineData("count", 3, 0)]
    [InlineData("sum", 30, 1)]
    [InlineData("sum", 30.5, 0)]
    [InlineData("max", 20, 1)]
    [InlineData("min", 11, 0)]
    [InlineData("count_distinct", 2, 1)]
    public void A_threshold_makes_a_conversion_of_a_value(string aggregation, double threshold, double expected) =>
        ValueOf(aggregation, new(Event: "e", AtLeast: threshold), Events((0, 0, 10), (0.5, 0, 20)), Noon, Timeline).Y.ShouldBe(expected);

    [Theory]
    [InlineData(3, 1, 0.2, 2.0, 0.1, 0.0, 0.3, 1.0)]
    [InlineData(2, 0, 0.2, 2.0, 0.1, 2.0, 0.3, 1.0)]
    [InlineData(2, 0, 0.0, 0.0, 0.3, 1.0, 0.6, 2.0)]
    [InlineData(3, 1, 0.0, 0.0, 0.4, 0.0, 0.5, 1.0, 0.6, 2.0)]
    public void A_funnel_in_any_order_needs_all_its_steps_within_its_window(int steps, double passed, params double[] hoursAndSlots)
    {
        var events = hoursAndSlots.Chunk(2).Select(pair => (pair[0], (int)pair[1], 1.0)).ToArray();
        var definition = new MetricDefinition(Steps: [new("a"), new("b"), new("c")], Order: "any", WindowHours: 0.5);

        ValueOf("funnel", definition, Events(events), Noon, Timeline).ShouldBe(new MetricValue(passed, 0, 0, steps));
    }

    [Theory]
    [InlineData("strict", 1, 0.0, 0.0, 0.1, 3.0, 0.2, 1.0, 0.3, 2.0)]
    [InlineData("strict", 3, 0.0, 0.0, 0.1, 1.0, 0.2, 2.0, 0.3, 3.0)]
    [InlineData("strict", 3, 0.0, 3.0, 0.1, 0.0, 0.2, 1.0, 0.3, 2.0)]
    [InlineData("strict", 3, 0.0, 0.0, 0.1, 3.0, 0.2, 0.0, 0.3, 1.0, 0.4, 2.0)]
    [InlineData("any", 2, 0.0, 2.0, 0.1, 3.0, 0.2, 0.0, 0.3, 1.0)]
    [InlineData("strict", 3, 0.0, 0.0, 0.0, 3.0, 0.1, 1.0, 0.2, 2.0)]
    [InlineData("any", 3, 0.0, 0.0, 0.0, 3.0, 0.1, 1.0, 0.2, 2.0)]
    [InlineData("any", 3, 0.0, 2.0, 0.2, 0.0, 0.3, 1.0, 0.4, 3.0)]
    public void An_exclusion_breaks_what_was_begun_before_it(string order, int steps, params double[] hoursAndSlots)
    {
        var events = hoursAndSlots.Chunk(2).Select(pair => (pair[0], (int)pair[1], 1.0)).ToArray();
        var definition = new MetricDefinition(Steps: [new("a"), new("b"), new("c")], Order: order, Exclusions: [new("x")]);

        ValueOf("funnel", definition, Events(events), Noon, Timeline).Steps.ShouldBe(steps);
    }

    [Fact]
    public void Whoever_comes_back_by_another_event_is_retained()
    {
        var definition = new MetricDefinition(Event: "e", ReturnEvent: new("r"), FromHours: 0.1, ToHours: 0.6, Maturity: "all");

        ValueOf("retention", definition, Events((0, 0, 1), (0.2, 0, 1)), Noon, Timeline).ShouldBe(new MetricValue(0, 1, 0, 0));
        ValueOf("retention", definition, Events((0, 0, 1), (0.2, 1, 1)), Noon, Timeline).ShouldBe(new MetricValue(1, 1, 0, 0));
        ValueOf("retention", definition, Events((0.2, 1, 1)), Noon, Timeline).IsZero.ShouldBeTrue();
    }

    [Fact]
    public void Retention_may_be_counted_from_the_exposure()
    {
        var definition = new MetricDefinition(Event: "e", StartsAt: "exposure", FromHours: 0.1, ToHours: 0.6, Maturity: "all");

        ValueOf("retention", definition, Events((0.05, 0, 1)), Noon, Timeline).Y.ShouldBe(0);
        ValueOf("retention", definition, Events((0.1, 0, 1)), Noon, Timeline).Y.ShouldBe(1);
        ValueOf("retention", definition, Events((0.6, 0, 1)), Noon, Timeline).Y.ShouldBe(0);
    }

    [Fact]
    public void A_conversion_window_limits_the_start_of_a_retention_and_not_the_return()
    {
        var definition = new MetricDefinition(Event: "e", FromHours: 0.5, ToHours: 1, ConversionWindowHours: 0.1, Maturity: "all");

        ValueOf("retention", definition, Events((0.05, 0, 1), (0.7, 0, 1)), Noon, Timeline).ShouldBe(new MetricValue(1, 1, 0, 0));
        ValueOf("retention", definition, Events((0.1, 0, 1), (0.7, 0, 1)), Noon, Timeline).IsZero.ShouldBeTrue();
    }

    [Fact]
    public void A_pause_does_not_run_a_window()
    {
        // Exposed half an hour before the pause of an hour: of an hour's window, half is left after it.
        var exposed = Noon.AddHours(0.5);
        var definition = new MetricDefinition(Event: "e", ConversionWindowHours: 1);

        ValueOf("count", definition, Events((0.9, 0, 1), (1.5, 0, 1), (2.4, 0, 1), (2.5, 0, 1)), exposed, Timeline).Y.ShouldBe(2);
    }

    [Theory]
    [InlineData(0.4, false)]
    [InlineData(0.5, true)]
    public void An_identity_counts_once_its_window_is_over(double now, bool counts)
    {
        var formula = new MetricFormula(MetricAggregation.Count, new(Event: "e", ConversionWindowHours: 0.5));
        var events = Events((0.1, 0, 1));

        formula.Value(events, Noon, Timeline, Noon.AddHours(now)).Y.ShouldBe(counts ? 1 : 0);
        formula.DueAfter(events, Noon, Timeline, Noon.AddHours(now)).ShouldBe(counts ? null : TimeSpan.FromHours(3.5));
        formula.DueAfter([], Noon, Timeline, Noon.AddHours(now)).ShouldBeNull();
    }

    [Fact]
    public void An_identity_that_has_started_waits_for_the_end_of_its_retention()
    {
        var formula = new MetricFormula(MetricAggregation.Retention, new(Event: "e", FromHours: 0.1, ToHours: 0.5));
        var events = Events((0.1, 0, 1), (0.3, 0, 1));

        formula.Value(events, Noon, Timeline, Noon.AddHours(0.5)).ShouldBe(new MetricValue(0, 0, 0, 0, 0, Waiting: 1));
        formula.DueAfter(events, Noon, Timeline, Noon.AddHours(0.5)).ShouldBe(TimeSpan.FromHours(3.6));
        formula.Value(events, Noon, Timeline, Noon.AddHours(0.6)).ShouldBe(new MetricValue(1, 1, 0, 0));
        formula.DueAfter(events, Noon, Timeline, Noon.AddHours(0.6)).ShouldBeNull();
    }

    [Fact]
    public void After_the_end_windows_run_on_until_they_are_closed()
    {
        var exposed = Noon.AddHours(2.75);
        var events = Events((2.8, 0, 1), (3.2, 0, 1), (3.8, 0, 1));
        var formula = new MetricFormula(MetricAggregation.Count, new(Event: "e", ConversionWindowHours: 1));
        var open = Timeline with { WindowsCloseAt = Noon.AddHours(4) };

        formula.Value(events, exposed, open, Noon.AddHours(3.5)).Y.ShouldBe(0);
        formula.Value(events, exposed, open, Noon.AddHours(3.75)).Y.ShouldBe(2);
        // Cut short, it counts by what was done until then.
        formula.Value(events, exposed, Timeline, Noon.AddHours(3)).Y.ShouldBe(1);
        // Of a retention that was cut short nothing is known.
        new MetricFormula(MetricAggregation.Retention, new(Event: "e", FromHours: 0.1, ToHours: 1))
            .Value(events, exposed, Timeline, Noon.AddHours(3.1))
            .D.ShouldBe(0);
    }

    [Fact]
    public void Without_events_everything_is_nought()
    {
        foreach (var aggregation in new[] { "occurrence", "count", "sum", "mean", "ratio", "retention" })
        {
            ValueOf(
                aggregation,
                new(Event: "e", Denominator: aggregation == "ratio" ? new("d") : null, FromHours: 1, ToHours: 2),
                [],
                Noon,
                Timeline
            )
                .IsZero.ShouldBeTrue(aggregation);
        }
    }

    [Fact]
    public void A_conversion_window_ends_before_its_last_instant() =>
        ValueOf("count", new(Event: "e", ConversionWindowHours: 0.5), Events((0, 0, 1), (0.499, 0, 1), (0.5, 0, 1)), Noon, Timeline)
            .Y.ShouldBe(2);

    [Fact]
    public void What_came_in_the_days_before_is_the_covariate()
    {
        var value = ValueOf(
            "sum",
            new(Event: "e", LookbackDays: 1),
            Events((-30, 0, 1000), (-23, 0, 7), (-0.5, 0, 5), (0, 0, 2)),
            Noon,
            Timeline
        );

        (value.X, value.Y).ShouldBe((12, 2));
    }

    [Fact]
    public void A_ratio_sums_its_two_events() =>
        ValueOf(
                "ratio",
                new(Event: "n", Property: "value", Denominator: new("d", Property: "value")),
                Events((0, 0, 2), (0.1, 1, 3), (0.2, 1, 4)),
                Noon,
                Timeline
            )
            .ShouldBe(new MetricValue(2, 7, 0, 0));

    [Theory]
    [InlineData(3, 1, 0.0, 0.1, 0.2)]
    [InlineData(2, 0, 0.0, 0.1)]
    [InlineData(1, 0, 0.0)]
    public void A_funnel_is_passed_step_by_step(int steps, double passed, params double[] hours) =>
        Funnel(null, [.. hours.Select((hour, slot) => (hour, slot))]).ShouldBe(new MetricValue(passed, 0, 0, steps));

    [Fact]
    public void Steps_in_the_wrong_order_do_not_count() => Funnel(null, (0, 2), (0.1, 1), (0.2, 0)).Steps.ShouldBe(1);

    [Fact]
    public void A_funnel_may_be_passed_from_a_later_start_within_its_window()
    {
        Funnel(0.25, (0, 0), (0.2, 1), (0.5, 2)).Steps.ShouldBe(2);
        Funnel(0.25, (0, 0), (0.2, 1), (0.4, 0), (0.45, 1), (0.5, 2)).Steps.ShouldBe(3);
    }

    [Theory]
    // As many events as there are steps, of one instant or not.
    [InlineData(1, 0.0)]
    [InlineData(2, 0.0, 0.0)]
    [InlineData(2, 0.0, 0.1)]
    [InlineData(3, 0.0, 0.0, 0.0)]
    [InlineData(3, 0.0, 0.0, 0.1)]
    [InlineData(3, 0.0, 0.1, 0.1)]
    [InlineData(3, 0.0, 0.0, 0.0, 0.0)]
    public void Of_equal_steps_each_event_is_one(int steps, params double[] hours)
    {
        var equal = new MetricDefinition(Steps: [new("page"), new("page"), new("page")]);
        MetricEvent[] events =
        [
            .. hours
                .SelectMany(
                    (hour, key) => Enumerable.Range(0, 3).Select(slot => new MetricEvent(Noon.AddHours(hour), 7 * key % 5, slot, 1))
                )
                .Order(),
        ];

        ValueOf("funnel", equal, events, Noon, Timeline).ShouldBe(new MetricValue(steps == 3 ? 1 : 0, 0, 0, steps));
    }

    [Fact]
    public void Events_of_one_instant_are_the_steps_that_they_can_be()
    {
        // The only "b" is needed as the second step, and the "a" that could be either is the first.
        Funnel(null, (0, 1), (0, 0), (0, 2)).Steps.ShouldBe(3);
        // One event that is the first and the third step, one that is the first and the second, one that is the second.
        var mixed = new MetricDefinition(Steps: [new("x"), new("y"), new("x")]);
        MetricEvent[] events =
        [
            .. new (int Key, int Slot)[] { (1, 0), (1, 2), (2, 0), (2, 2), (3, 1) }
                .Select(e => new MetricEvent(Noon, e.Key, e.Slot, 1))
                .Order(),
        ];
        ValueOf("funnel", mixed, events, Noon, Timeline).Steps.ShouldBe(3);
        ValueOf("funnel", mixed, [.. events.Where(e => e.Key != 2)], Noon, Timeline).Steps.ShouldBe(2);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void A_funnel_is_passed_as_far_as_any_choice_of_events_passes_it(int seed)
    {
        var random = new Random(seed);
        for (var number = 0; number < 400; number++)
        {
            string[] names = ["a", "b"];
            string[] steps = [.. Enumerable.Range(0, 3).Select(_ => names[random.Next(2)])];
            (int Minute, string Name)[] happened =
            [
                .. Enumerable.Range(0, random.Next(1, 6)).Select(_ => (random.Next(3), names[random.Next(2)])),
            ];
            var definition = new MetricDefinition(
                Steps: [.. steps.Select(name => new MetricSource(name))],
                WindowHours: random.Next(2) == 0 ? null : 1.5 / 60
            );
            MetricEvent[] events =
            [
                .. happened
                    .SelectMany(
                        (e, key) =>
                            steps
                                .Index()
                                .Where(step => step.Item == e.Name)
                                .Select(step => new MetricEvent(Noon.AddMinutes(e.Minute), key, step.Index, 1))
                    )
                    .Order(),
            ];

            var furthest = Furthest(0, -1, -1, []);

            ValueOf("funnel", definition, events, Noon, Timeline)
                .Steps.ShouldBe(furthest, $"{string.Join(",", steps)} of {string.Join(", ", happened)} within {definition.WindowHours}");

            int Furthest(int step, int minute, int started, HashSet<int> used)
            {
                var best = step;
                for (var key = 0; step < 3 && key < happened.Length; key++)
                {
                    var (at, name) = happened[key];
                    if (
                        name == steps[step]
                        && at >= minute
                        && (step == 0 || definition.WindowHours is null || at < started + 1.5)
                        && used.Add(key)
                    )
                    {
                        best = Math.Max(best, Furthest(step + 1, at, step == 0 ? at : started, used));
                        used.Remove(key);
                    }
                }

                return best;
            }
        }
    }

    [Theory]
    [InlineData(0.2, false)]
    [InlineData(0.5, true)]
    [InlineData(0.99, true)]
    [InlineData(2.6, false)]
    public void Whoever_comes_back_between_the_two_delays_is_retained(double back, bool retained) =>
        ValueOf("retention", new(Event: "e", FromHours: 0.5, ToHours: 1), Events((0, 0, 1), (back, 0, 1)), Noon, Timeline)
            .ShouldBe(new MetricValue(retained ? 1 : 0, 1, 0, 0));

    [Theory]
    [InlineData("12.5", 12.5)]
    [InlineData("-1e3", -1000.0)]
    [InlineData("", null)]
    [InlineData("NaN", null)]
    [InlineData("Infinity", null)]
    [InlineData("1e300", null)]
    [InlineData("twelve", null)]
    [InlineData(null, null)]
    public void Only_numbers_are_numbers(string? text, double? number) => MetricSource.Number(text).ShouldBe(number);

    private static MetricValue Funnel(double? window, params (double Hour, int Slot)[] events) =>
        ValueOf(
            "funnel",
            new(Steps: [new("a"), new("b"), new("c")], WindowHours: window),
            Events([.. events.Select(e => (e.Hour, e.Slot, 1.0))]),
            Noon,
            Timeline
        );

    private static MetricValue ValueOf(
        string aggregation,
        MetricDefinition definition,
        MetricEvent[] events,
        DateTime exposed,
        Timeline timeline
    ) => new MetricFormula(Words.Parse<MetricAggregation>(aggregation), definition).Value(events, exposed, timeline);

    private static MetricEvent[] Events(params (double Hour, int Slot, double Value)[] events) =>
        [.. events.Select((e, key) => new MetricEvent(Noon.AddHours(e.Hour), key, e.Slot, e.Value)).Order()];
}
