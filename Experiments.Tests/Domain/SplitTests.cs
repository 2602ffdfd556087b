using Experiments.Api.Domain;

namespace Experiments.Tests.Domain;

public class SplitTests
{
    [Fact]
    public void No_split_at_all_is_fine_because_the_even_one_stands_in() => Errors(null).ShouldBeEmpty();

    [Fact]
    public void Weights_that_sum_to_a_hundred_are_fine() => Errors([("control", 20), ("a", 30.5m), ("b", 49.5m)]).ShouldBeEmpty();

    [Fact]
    public void What_dividing_by_three_loses_is_forgiven() =>
        Errors([("control", 33.333333333m), ("a", 33.333333333m), ("b", 33.333333333m)]).ShouldBeEmpty();

    [Theory]
    [InlineData(99.99)]
    [InlineData(100.01)]
    [InlineData(0)]
    public void Any_other_sum_is_not(decimal weight) => Errors([("control", weight), ("a", 0)]).ShouldContain("variants");

    [Fact]
    public void Control_must_be_among_them() => Errors([("a", 50), ("b", 50)]).ShouldBe(["variants"]);

    [Fact]
    public void Each_key_and_each_weight_is_named_that_is_wrong() =>
        Errors([("control", 50), ("control", 50), (null, null), ("a b", -1)])
            .ShouldBe(["variants[1].key", "variants[2].key", "variants[2].weight", "variants[3].key", "variants[3].weight"]);

    private static List<string> Errors(List<(string?, decimal?)>? split)
    {
        var paths = new List<string>();
        Split.Check("variants", split, (path, _) => paths.Add(path));
        return paths;
    }
}
