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
