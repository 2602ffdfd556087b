using Experiments.Api.Aggregation;
using Experiments.Api.MetricDefinitions;

namespace Experiments.Tests.Results;

public class UnitEventHistoryTests
{
    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    [Fact]
    public void The_same_events_are_the_same_bytes_in_whatever_order_and_however_often_they_come()
    {
        var random = new Random(7);
        var events = Enumerable
            .Range(0, 200)
            .Select(n =>
                (
                    SourceMetric: (long)random.Next(3),
                    Event: new MetricEvent(
                        Noon.AddMilliseconds(random.Next(50)),
                        random.Next(20),
                        random.Next(3),
                        n % 5 == 0 ? double.NaN : 2.5
                    )
                )
            )
            .DistinctBy(taken => (taken.SourceMetric, taken.Event.At, taken.Event.Key, taken.Event.Slot))
            .ToArray();
        var expected = Pack(events);

        for (var round = 0; round < 20; round++)
        {
            var shuffled = events.Concat(events.Take(random.Next(50))).ToArray();
            random.Shuffle(shuffled);
            // What was packed in between makes no difference.
            var half = UnitEventHistory.Of(Pack(shuffled[..100]));
            foreach (var (source, taken) in shuffled)
            {
                half.Add(source, taken);
            }

            half.Pack().ShouldBe(expected);
        }

        UnitEventHistory
            .Of(expected)
            .Of(1)
            .ToArray()
            .ShouldBe([.. events.Where(taken => taken.SourceMetric == 1).Select(taken => taken.Event).Order()]);
    }

    [Fact]
    public void Of_a_flood_the_first_are_kept_whatever_the_order_in_which_they_came()
    {
        var events = Enumerable
            .Range(0, UnitEventHistory.Most + 500)
            .Select(n => (SourceMetric: 1L, Event: new MetricEvent(Noon.AddMilliseconds(n), n, 0, n)))
            .ToArray();
        var forwards = Pack(events);
        Array.Reverse(events);

        Pack(events).ShouldBe(forwards);
        UnitEventHistory.Of(forwards).Of(1)[^1].Value.ShouldBe(UnitEventHistory.Most - 1);
    }

    [Fact]
    public void What_another_release_has_stored_in_its_own_format_is_not_misread()
    {
        var packed = Pack([(1, new MetricEvent(Noon, 1, 0, 5))]);
        packed[0]++;

        Should.Throw<InvalidDataException>(() => UnitEventHistory.Of(packed));
        UnitEventHistory.Of([]).Of(1).Length.ShouldBe(0);
        new UnitEventHistory().Pack().ShouldBeEmpty();
    }

    [Fact]
    public void What_is_known_already_changes_nothing()
    {
        var history = new UnitEventHistory();
        history.Add(1, new(Noon, 1, 0, 5)).ShouldBeTrue();

        history.Add(1, new(Noon, 1, 0, 5)).ShouldBeFalse();
        history.Add(2, new(Noon, 1, 0, 5)).ShouldBeTrue();
        history.Of(3).Length.ShouldBe(0);
    }

    private static byte[] Pack(IEnumerable<(long SourceMetric, MetricEvent Event)> events)
    {
        var history = new UnitEventHistory();
        foreach (var (source, taken) in events)
        {
            history.Add(source, taken);
        }

        return history.Pack();
    }
}
