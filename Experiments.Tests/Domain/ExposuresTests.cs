using Experiments.Api.Domain;

namespace Experiments.Tests.Domain;

public class ExposuresTests
{
    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    [Fact]
    public void The_order_and_the_number_of_exposures_change_nothing()
    {
        var random = new Random(11);
        for (var round = 0; round < 500; round++)
        {
            var own = random.Next(3);
            var seen = Enumerable.Range(0, random.Next(1, 7)).Select(_ => random.Next(4) switch
            {
                0 => Exposures.DuringPause(own, Noon.AddMinutes(random.Next(100))),
                1 => Exposures.WhileRunning(own, random.Next(3), Noon.AddMinutes(random.Next(100)), random.Next(2) == 0),
                2 => Exposures.WhileRunning(own, Exposures.Foreign, Noon.AddMinutes(random.Next(100)), true),
                _ => Exposures.WhileRunning(own, own, Noon.AddMinutes(random.Next(100)), random.Next(2) == 0),
            }).ToArray();
            var merged = seen.Aggregate((one, other) => one.Merge(other));

            for (var again = 0; again < 5; again++)
            {
                var shuffled = seen.Concat(seen).ToArray();
                random.Shuffle(shuffled);
                shuffled.Aggregate((one, other) => other.Merge(one)).ShouldBe(merged);
            }
        }
    }

    [Fact]
    public void An_identity_counts_from_its_first_exposure_at_which_it_was_enrolled()
    {
        var exposures = Shown(1, 30).Merge(Shown(1, 10)).Merge(Shown(1, 20)).Merge(Exposures.WhileRunning(1, 1, Noon, isEnrolled: false)).Merge(Exposures.DuringPause(1, Noon));

        exposures.Stand(false).ShouldBe(new Standing(null, 1, Noon.AddMinutes(10)));
    }

    [Fact]
    public void Each_reason_has_its_case()
    {
        Exposures.DuringPause(1, Noon).Stand(false).Reason.ShouldBe("while_paused");
        Exposures.WhileRunning(1, 1, Noon, isEnrolled: false).Stand(false).Reason.ShouldBe("not_enrolled");
        Shown(2, 0).Stand(false).Reason.ShouldBe("not_its_own_variant");
        Shown(Exposures.Foreign, 0).Stand(false).Reason.ShouldBe("not_its_own_variant");
        Shown(1, 0).Merge(Shown(2, 1)).Stand(false).Reason.ShouldBe("several_variants");
        Shown(1, 0).Merge(Shown(Exposures.Foreign, 1)).Stand(false).Reason.ShouldBe("several_variants");
        Shown(1, 0).Merge(Shown(2, 1)).Stand(false).From.ShouldBeNull();
        Exposures.WhileRunning(1, 1, Noon, isEnrolled: true, isTest: true).Merge(Shown(1, 5)).Stand(false).Reason.ShouldBe("test_identity");
        Exposures.DuringPause(1, Noon, isTest: true).Stand(true).Reason.ShouldBe("test_identity");
    }

    [Fact]
    public void Those_who_saw_several_variants_may_count_where_they_were_first()
    {
        var exposures = Shown(2, 1).Merge(Shown(0, 5)).Merge(Shown(1, 3));

        exposures.Stand(countsWhereFirst: true).ShouldBe(new Standing(null, 2, Noon.AddMinutes(1)));
        exposures.Merge(Shown(0, 0)).Stand(countsWhereFirst: true).Arm.ShouldBe(0);
        exposures.Merge(Shown(Exposures.Foreign, 0)).Stand(countsWhereFirst: true).Reason.ShouldBe("not_its_own_variant");
    }

    [Fact]
    public void Whoever_is_held_out_counts_apart_as_long_as_it_saw_control()
    {
        Exposures HeldOut(int shown, bool isEnrolled) => Exposures.WhileRunning(Exposures.HeldOut, shown, Noon, isEnrolled);

        HeldOut(0, isEnrolled: true).Stand(false).ShouldBe(new Standing(null, Exposures.HeldOut, Noon));
        HeldOut(0, isEnrolled: false).Stand(false).Reason.ShouldBe("not_enrolled");
        HeldOut(1, isEnrolled: true).Stand(false).Reason.ShouldBe("not_its_own_variant");
    }

    private static Exposures Shown(int variant, int minute) => Exposures.WhileRunning(own: 1, variant, Noon.AddMinutes(minute), isEnrolled: true);
}
