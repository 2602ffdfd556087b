using System.Text.Json;
using Experiments.Api.Domain;

namespace Experiments.Tests.Domain;

public class ExposureStateTests
{
    private static readonly DateTime Noon = new(2026, 11, 22, 12, 0, 0, DateTimeKind.Utc);

    [Fact]
    public void The_order_and_the_number_of_exposures_change_nothing()
    {
        var random = new Random(11);
        for (var round = 0; round < 500; round++)
        {
            var own = random.Next(3);
            var seen = Enumerable
                .Range(0, random.Next(1, 7))
                .Select(_ =>
                    random.Next(5) switch
                    {
                        0 => ExposureState.DuringPause(own, Noon.AddMinutes(random.Next(100))),
                        1 => ExposureState.WhileRunning(own, random.Next(3), Noon.AddMinutes(random.Next(100)), random.Next(2) == 0),
                        // Often at the same instant, with another level.
                        3 => ExposureState.WhileRunning(own, own, Noon.AddMinutes(random.Next(3)), true, levels: Levels(random.Next(4))),
                        2 => ExposureState.WhileRunning(own, ExposureState.Foreign, Noon.AddMinutes(random.Next(100)), true),
                        _ => ExposureState.WhileRunning(own, own, Noon.AddMinutes(random.Next(100)), random.Next(2) == 0),
                    }
                )
                .ToArray();
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
    public void The_levels_are_those_of_the_first_exposure_at_which_it_was_enrolled()
    {
        var early = ExposureState.WhileRunning(1, 1, Noon, isEnrolled: false, levels: Levels(1));
        var first = ExposureState.WhileRunning(1, 1, Noon.AddMinutes(1), isEnrolled: true, levels: Levels(2));
        var later = ExposureState.WhileRunning(1, 1, Noon.AddMinutes(2), isEnrolled: true, levels: Levels(3));

        later.Merge(early).Merge(first).Levels.ShouldBe(Levels(2));
        early.Levels.ShouldBeNull();
    }

    [Theory]
    [InlineData("""{"country": "de", "plan": 2.50, "beta": true}""", """["de","2.5","true"]""")]
    [InlineData("""{"country": null, "plan": ["a"], "beta": {}}""", "[null,null,null]")]
    [InlineData("""{"other": "de"}""", "[null,null,null]")]
    [InlineData("[1]", "[null,null,null]")]
    [InlineData(null, "[null,null,null]")]
    public void Levels_are_read_from_traits(string? traits, string levels)
    {
        using var document = traits is null ? null : JsonDocument.Parse(traits);

        var read = TraitLevels.Of(document?.RootElement, ["country", "plan", "beta"]);

        read.ToString().ShouldBe(levels);
        TraitLevels.Parse(levels).ShouldBe(read);
    }

    [Fact]
    public void A_long_level_is_cut_between_characters()
    {
        using var traits = JsonDocument.Parse($$"""{"a": "{{new string('a', 254)}}😀😀"}""");

        TraitLevels.Of(traits.RootElement, ["a"]).ToString().ShouldBe($"""["{new string('a', 254)}"]""");
    }

    private static TraitLevels? Levels(int level) => level == 0 ? null : TraitLevels.Parse($"""["{level}"]""");

    [Fact]
    public void An_identity_counts_from_its_first_exposure_at_which_it_was_enrolled()
    {
        var exposures = Shown(1, 30)
            .Merge(Shown(1, 10))
            .Merge(Shown(1, 20))
            .Merge(ExposureState.WhileRunning(1, 1, Noon, isEnrolled: false))
            .Merge(ExposureState.DuringPause(1, Noon));

        exposures.Include(false).ShouldBe(new Inclusion(null, 1, Noon.AddMinutes(10)));
    }

    [Fact]
    public void Each_reason_has_its_case()
    {
        ExposureState.DuringPause(1, Noon).Include(false).Reason.ShouldBe("while_paused");
        ExposureState.WhileRunning(1, 1, Noon, isEnrolled: false).Include(false).Reason.ShouldBe("not_enrolled");
        Shown(2, 0).Include(false).Reason.ShouldBe("not_its_own_variant");
        Shown(ExposureState.Foreign, 0).Include(false).Reason.ShouldBe("not_its_own_variant");
        Shown(1, 0).Merge(Shown(2, 1)).Include(false).Reason.ShouldBe("several_variants");
        Shown(1, 0).Merge(Shown(ExposureState.Foreign, 1)).Include(false).Reason.ShouldBe("several_variants");
        Shown(1, 0).Merge(Shown(2, 1)).Include(false).From.ShouldBeNull();
        ExposureState
            .WhileRunning(1, 1, Noon, isEnrolled: true, isTest: true)
            .Merge(Shown(1, 5))
            .Include(false)
            .Reason.ShouldBe("test_identity");
        ExposureState.DuringPause(1, Noon, isTest: true).Include(true).Reason.ShouldBe("test_identity");
    }

    [Fact]
    public void Those_who_saw_several_variants_may_count_where_they_were_first()
    {
        var exposures = Shown(2, 1).Merge(Shown(0, 5)).Merge(Shown(1, 3));

        exposures.Include(countsWhereFirst: true).ShouldBe(new Inclusion(null, 2, Noon.AddMinutes(1)));
        exposures.Merge(Shown(0, 0)).Include(countsWhereFirst: true).Arm.ShouldBe(0);
        exposures.Merge(Shown(ExposureState.Foreign, 0)).Include(countsWhereFirst: true).Reason.ShouldBe("not_its_own_variant");
    }

    [Fact]
    public void Whoever_is_held_out_counts_apart_as_long_as_it_saw_control()
    {
        ExposureState HeldOut(int shown, bool isEnrolled) => ExposureState.WhileRunning(ExposureState.HeldOut, shown, Noon, isEnrolled);

        HeldOut(0, isEnrolled: true).Include(false).ShouldBe(new Inclusion(null, ExposureState.HeldOut, Noon));
        HeldOut(0, isEnrolled: false).Include(false).Reason.ShouldBe("not_enrolled");
        HeldOut(1, isEnrolled: true).Include(false).Reason.ShouldBe("not_its_own_variant");
    }

    private static ExposureState Shown(int variant, int minute) =>
        ExposureState.WhileRunning(assigned: 1, variant, Noon.AddMinutes(minute), isEnrolled: true);
}
