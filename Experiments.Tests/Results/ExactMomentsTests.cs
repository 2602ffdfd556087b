using System.Globalization;
using System.Numerics;
using System.Text.Json.Nodes;
using Experiments.Api.Analysis;
using Experiments.Api.Statistics;

namespace Experiments.Tests.Results;

/// <summary>Variances of numbers that are far from 0, from the exact sums.</summary>
public class ExactMomentsTests
{
    [Theory]
    [InlineData(1e8, 1)]
    [InlineData(1e12, 0.01)]
    [InlineData(-1e9, 3)]
    [InlineData(0, 1)]
    public void The_variance_is_right_however_far_the_mean_is_from_zero(double mean, double spread)
    {
        // Half of them a little more, half of them a little less.
        var (n, offset) = (1000, (decimal)spread);
        var values = Enumerable.Range(0, n).Select(i => (decimal)mean + (i % 2 == 0 ? offset : -offset)).ToList();
        var sums = Sums(values);

        var centred = new ExactSums(sums).About(n);

        centred.YY.ShouldBe(n * spread * spread, 1e-12 * n * spread * spread);
        centred.YX.ShouldBe(centred.YY);
        var arm = new SufficientStatistics(n, sums["y"]!.GetValue<double>(), sums["yy"]!.GetValue<double>()) { Centred = centred };
        SampleMoments.OfMean(arm).Variance.ShouldBe(spread * spread * n / (n - 1), 1e-12 * spread * spread);
    }

    [Fact]
    public void Two_arms_as_one_sample_have_what_lies_between_them_too()
    {
        var (one, other) = (
            Enumerable.Range(0, 40).Select(i => (decimal)i).ToList(),
            Enumerable.Range(30, 50).Select(i => i / 4m).ToList()
        );
        SufficientStatistics Arm(List<decimal> values) =>
            new(values.Count, (double)values.Sum(), (double)values.Sum(y => y * y))
            {
                Centred = new ExactSums(Sums(values)).About(values.Count),
            };

        var pooled = Arm(one) + Arm(other);

        pooled.Centred.YY.ShouldBe(Arm([.. one, .. other]).Centred.YY, 1e-9);
        pooled.Centred.YY.ShouldBe(CentredSums.Of(new(90, pooled.Sum, pooled.SumSquares)).YY, 1e-9);
    }

    private static JsonObject Sums(List<decimal> values)
    {
        var y = Text(values.Aggregate(BigInteger.Zero, (sum, value) => sum + (BigInteger)(value * 100)), 2);
        var yy = Text(values.Aggregate(BigInteger.Zero, (sum, value) => sum + BigInteger.Pow((BigInteger)(value * 100), 2)), 4);
        return JsonNode
            .Parse($$"""{"y": {{y}}, "yy": {{yy}}, "d": 0, "dd": 0, "yd": 0, "x": {{y}}, "xx": {{yy}}, "yx": {{yy}}}""")!
            .AsObject();

        static string Text(BigInteger sum, int decimals)
        {
            var digits = BigInteger.Abs(sum).ToString(CultureInfo.InvariantCulture).PadLeft(decimals + 1, '0');
            return $"{(sum.Sign < 0 ? "-" : "")}{digits[..^decimals]}.{digits[^decimals..]}";
        }
    }
}
