using Experiments.Api.Domain;

namespace Experiments.Tests.Domain;

public class TimelineTests
{
    private static readonly DateTime Start = new DateTime(2026, 11, 22, 12, 0, 0, 500, DateTimeKind.Utc).AddTicks(4567);

    // Runs for an hour, pauses for an hour, runs for an hour; ends after half an hour of another pause.
    private static readonly Timeline Timeline = new(
        [(Start, Start.AddHours(1)), (Start.AddHours(2), Start.AddHours(3))],
        [(100, Start.AddMinutes(10)), (20, Start.AddMinutes(20))],
        50,
        Start.AddHours(3.5)
    );

    [Theory]
    [InlineData(-0.001, false, false)]
    [InlineData(0, true, false)]
    [InlineData(0.5, true, false)]
    [InlineData(1.001, false, true)]
    [InlineData(1.5, false, true)]
    [InlineData(2.5, true, false)]
    [InlineData(3.2, false, true)]
    [InlineData(3.6, false, false)]
    public void Every_instant_is_in_a_run_in_a_pause_or_outside(double hours, bool ran, bool paused)
    {
        Timeline.RanAt(Start.AddHours(hours)).ShouldBe(ran);
        Timeline.WasPausedAt(Start.AddHours(hours)).ShouldBe(paused);
    }

    [Theory]
    [InlineData(0, 1, 1)]
    [InlineData(0.5, 1.5, 0.5)]
    [InlineData(0.5, 2.5, 1)]
    [InlineData(-1, 9, 2.5)]
    [InlineData(3.2, 9, 0.5)]
    [InlineData(3.2, 3.75, 0.25)]
    [InlineData(1.2, 1.8, 0)]
    public void Windows_run_while_the_experiment_does_and_after_its_end_until_they_are_closed(double from, double until, double hours)
    {
        var timeline = Timeline with { WindowsCloseAt = Start.AddHours(4) };

        timeline.RunningBetween(Start.AddHours(from), Start.AddHours(until)).ShouldBe(TimeSpan.FromHours(hours));
    }

    [Theory]
    [InlineData(0.5, 0.7, 0.2)]
    [InlineData(0.5, 2.2, 0.7)]
    [InlineData(1, 2.5, 0.5)]
    [InlineData(0.2, 1.5, 0.8)]
    [InlineData(0.75, 3.75, 2.5)]
    public void The_latest_window_that_is_over_is_the_one_that_has_just_run(double window, double by, double since)
    {
        var timeline = Timeline with { WindowsCloseAt = Start.AddHours(4) };

        timeline
            .LatestOver(TimeSpan.FromHours(window), Start.AddHours(by), closes: true)!
            .Value.ShouldBe(Start.AddHours(since), TimeSpan.FromMilliseconds(1));
        timeline
            .RunningBetween(Start.AddHours(since), Start.AddHours(by))
            .ShouldBe(TimeSpan.FromHours(window), TimeSpan.FromMilliseconds(1));
    }

    [Fact]
    public void Windows_that_are_closed_are_all_over_but_were_not_all_complete()
    {
        var timeline = Timeline with { WindowsCloseAt = Start.AddHours(4) };

        timeline.LatestOver(TimeSpan.FromHours(1), Start.AddHours(5), closes: true).ShouldBe(Start.AddHours(5));
        timeline
            .LatestOver(TimeSpan.FromHours(1), Start.AddHours(5), closes: false)!
            .Value.ShouldBe(Start.AddHours(2.5), TimeSpan.FromMilliseconds(1));
        timeline.LatestOver(TimeSpan.FromHours(9), Start.AddHours(3), closes: true).ShouldBeNull();
    }

    [Theory]
    [InlineData(0.5, 0.5)]
    [InlineData(1.5, 2.5)]
    [InlineData(2.25, 3.75)]
    public void An_instant_is_found_by_how_long_it_had_run(double running, double at)
    {
        var timeline = Timeline with { WindowsCloseAt = Start.AddHours(4) };

        timeline.At(TimeSpan.FromHours(running)).ShouldBe(Start.AddHours(at));
        timeline.RunningAt(Start.AddHours(at)).ShouldBe(TimeSpan.FromHours(running));
        timeline.At(TimeSpan.FromHours(3)).ShouldBeNull();
    }

    [Fact]
    public void An_experiment_ran_in_the_millisecond_in_which_it_started()
    {
        var millisecond = Start.AddTicks(-(Start.Ticks % TimeSpan.TicksPerMillisecond));

        Timeline.RanAt(millisecond).ShouldBeTrue();
        Timeline.RanAt(millisecond.AddMilliseconds(-1)).ShouldBeFalse();
    }

    [Fact]
    public void While_it_is_running_there_is_no_end()
    {
        var running = new Timeline([(Start, null)], [], 100, null);

        running.RanAt(Start.AddYears(10)).ShouldBeTrue();
        running.WasPausedAt(Start.AddYears(10)).ShouldBeFalse();
    }

    [Fact]
    public void A_pause_that_is_going_on_is_a_pause()
    {
        var paused = new Timeline([(Start, Start.AddHours(1))], [], 100, null);

        paused.WasPausedAt(Start.AddYears(1)).ShouldBeTrue();
        paused.WasPausedAt(Start.AddHours(-1)).ShouldBeFalse();
    }

    [Theory]
    [InlineData(0, 100)]
    [InlineData(10, 20)]
    [InlineData(19, 20)]
    [InlineData(20, 50)]
    [InlineData(9999, 50)]
    public void A_rollout_holds_until_the_next_one(double minutes, int percentage) =>
        Timeline.RolloutAt(Start.AddMinutes(minutes)).ShouldBe(percentage);
}
