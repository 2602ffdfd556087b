using System.Globalization;
using System.Numerics;
using Experiments.Api.Aggregation;

namespace Experiments.Tests.Results;

public class ExactSumTests
{
    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(42, 42, 0)]
    [InlineData(-1.5, -15, -1)]
    [InlineData(0.1, 1, -1)]
    [InlineData(1e64, 1, 64)]
    [InlineData(-2.5e-300, -25, -301)]
    [InlineData(142.857142857142857, 14285714285714286, -14)]
    [InlineData(9.5e25, 95, 24)]
    public void A_number_is_the_shortest_decimal_that_stands_for_it(double number, long digits, int exponent)
    {
        var decimals = Decimals.Of(number);

        // Trailing zeros may stand on either side.
        (decimals.Digits * BigInteger.Pow(10, Math.Max(0, decimals.Exponent - exponent))).ShouldBe(
            digits * BigInteger.Pow(10, Math.Max(0, exponent - decimals.Exponent))
        );
    }

    [Fact]
    public void Zero_has_no_sign() => Decimals.Of(-0.0).ShouldBe(Decimals.Of(0.0));

    [Fact]
    public void Every_number_can_be_read_back()
    {
        var random = new Random(3);
        for (var round = 0; round < 5000; round++)
        {
            var number = BitConverter.Int64BitsToDouble(random.NextInt64(long.MinValue, long.MaxValue));
            if (double.IsFinite(number) && Math.Abs(number) <= 1e64)
            {
                var (digits, exponent) = Decimals.Of(number);
                double.Parse($"{digits}e{exponent}", CultureInfo.InvariantCulture).ShouldBe(number);
            }
        }
    }

    [Fact]
    public void What_is_put_on_and_taken_off_again_leaves_nothing()
    {
        var random = new Random(5);
        var numbers = Enumerable
            .Range(0, 2000)
            .Select(_ => Decimals.Of((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-12, 12))))
            .ToList();
        var sum = new ExactSum();
        numbers.ForEach(number => sum.Add(number, number, 1));
        foreach (var number in numbers.OrderBy(_ => random.Next()))
        {
            sum.Add(number, number, -1);
        }

        BigInteger.Parse(sum.ToString().Split('e')[0], CultureInfo.InvariantCulture).ShouldBe(0);
    }

    [Fact]
    public void Whole_numbers_add_up_beyond_what_fits()
    {
        var (sum, large) = (new ExactSum(), Decimals.Of(999_999_999_999_999));
        for (var round = 0; round < 100; round++)
        {
            sum.Add(large, large, 1);
        }

        BigInteger.Parse(sum.ToString().Split('e')[0], CultureInfo.InvariantCulture).ShouldBe(100 * BigInteger.Pow(999_999_999_999_999, 2));
    }
}
