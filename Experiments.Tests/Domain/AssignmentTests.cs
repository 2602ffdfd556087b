using System.Security.Cryptography;
using System.Text;
using Experiments.Api.Domain;
using MathNet.Numerics.Distributions;

namespace Experiments.Tests.Domain;

public class AssignmentTests
{
    private static readonly string[] Identities = [.. Enumerable.Range(0, 100_000).Select(n => $"user-{n}")];

    [Theory]
    [InlineData("")]
    [InlineData("salt.user-1")]
    [InlineData("salt.Zoë")]
    [InlineData("salt.👩‍👩‍👧")]
    public void The_hash_is_the_first_15_hexadecimal_digits_of_the_sha1_over_2_to_the_60(string text)
    {
        var digits = Convert.ToHexString(SHA1.HashData(Encoding.UTF8.GetBytes(text)))[..15];

        Assignment
            .Hash(text)
            .ShouldBe(
                ulong.Parse(digits, System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture)
                    / Math.Pow(2, 60)
            );
    }

    [Fact]
    public void The_hash_is_right_for_texts_of_every_length()
    {
        for (var length = 0; length <= 300; length++)
        {
            var message = Enumerable.Range(0, length).Select(n => (byte)(n * 7)).ToArray();
            Sha1.First60Bits(message)
                .ShouldBe(
                    ulong.Parse(
                        Convert.ToHexString(SHA1.HashData(message))[..15],
                        System.Globalization.NumberStyles.HexNumber,
                        System.Globalization.CultureInfo.InvariantCulture
                    )
                );
        }
    }

    [Fact]
    public void Known_texts_have_the_hashes_that_any_other_implementation_gives()
    {
        // printf 'salt.user-1' | sha1sum and so on, in Python: int(hashlib.sha1(t).hexdigest()[:15], 16) / 2**60
        Assignment.Hash("salt.user-1").ShouldBe(0.41331624129569394);
        Assignment.Hash("salt.user-1variant").ShouldBe(0.5300008638409859);
        Assignment.Hash("salt." + new string('x', 2000)).ShouldBe(0.0859120194699316);
    }

    [Fact]
    public void Nought_percent_admit_nobody_and_a_hundred_everyone()
    {
        Identities.ShouldAllBe(identity => !Assignment.Admits("salt", identity, 0));
        Identities.ShouldAllBe(identity => Assignment.Admits("salt", identity, 100));
    }

    [Fact]
    public void Raising_the_rollout_moves_nobody()
    {
        decimal[] steps = [0, 0.01m, 1, 5, 20, 50, 99.99m, 100];
        foreach (var identity in Identities.Take(20_000))
        {
            var admitted = steps.Select(step => Assignment.Admits("salt", identity, step)).ToList();
            admitted.SequenceEqual(admitted.Order()).ShouldBeTrue(identity);
        }
    }

    [Theory]
    [InlineData(10)]
    [InlineData(33.3)]
    [InlineData(75)]
    public void A_rollout_admits_its_share(decimal percentage)
    {
        var admitted = Identities.Count(identity => Assignment.Admits("another salt", identity, percentage));

        (
            Math.Abs(admitted - (1000.0 * (double)percentage)) / Math.Sqrt(1000 * (double)percentage * (1 - ((double)percentage / 100)))
        ).ShouldBeLessThan(4);
    }

    [Theory]
    [InlineData(new[] { 50.0, 50 })]
    [InlineData(new[] { 10.0, 20, 70 })]
    [InlineData(new[] { 33.333333, 33.333333, 33.333334 })]
    [InlineData(new[] { 1.0, 0, 99 })]
    public void Weights_are_met(double[] weights)
    {
        var cumulative = Assignment.Cumulate(weights.Select(weight => (decimal)weight));
        var counts = new int[weights.Length];
        foreach (var identity in Identities)
        {
            counts[Assignment.Variant("salt", identity, cumulative)]++;
        }

        counts.Zip(weights).Where(arm => arm.Second == 0).ShouldAllBe(arm => arm.First == 0);
        var arms = counts.Zip(weights).Where(arm => arm.Second > 0).ToList();
        PValue(arms.Sum(arm => Math.Pow(arm.First - (1000 * arm.Second), 2) / (1000 * arm.Second)), arms.Count - 1)
            .ShouldBeGreaterThan(1e-4);
    }

    [Fact]
    public void Two_experiments_are_independent_and_so_are_taking_part_and_the_variant()
    {
        var halves = Assignment.Cumulate([50, 50]);

        Independent(
            identity => Assignment.Variant("one", identity, halves) == 0,
            identity => Assignment.Variant("two", identity, halves) == 0
        );
        Independent(identity => Assignment.Admits("one", identity, 50), identity => Assignment.Admits("two", identity, 50));
        Independent(identity => Assignment.Admits("one", identity, 50), identity => Assignment.Variant("one", identity, halves) == 0);
    }

    [Fact]
    public void An_option_without_weight_changes_nothing_for_anyone()
    {
        var before = Assignment.Cumulate([60, 40]);
        var after = Assignment.Cumulate([60, 40, 0]);

        Identities.ShouldAllBe(identity => Assignment.Variant("salt", identity, before) == Assignment.Variant("salt", identity, after));
    }

    [Fact]
    public void Whoever_the_rounding_of_weights_leaves_over_gets_the_last_variant_that_has_any()
    {
        Assignment.Variant("salt", "user-1", [0, 0, 0]).ShouldBe(0);
        Assignment.Variant("salt", "user-1", [1e-9, 2e-9, 2e-9]).ShouldBe(1);
    }

    [Fact]
    public void Identifiers_are_the_same_only_when_their_characters_are()
    {
        // é as one character and as two.
        Assignment.Hash("salt.\u00e9").ShouldNotBe(Assignment.Hash("salt.e\u0301"));
        Identity.Key("\u00e9").ShouldNotBe(Identity.Key("e\u0301"));
    }

    private static void Independent(Func<string, bool> one, Func<string, bool> other)
    {
        var cells = new double[2, 2];
        foreach (var identity in Identities)
        {
            cells[one(identity) ? 1 : 0, other(identity) ? 1 : 0]++;
        }

        var statistic = 0.0;
        for (var row = 0; row < 2; row++)
        {
            for (var column = 0; column < 2; column++)
            {
                var expected = (cells[row, 0] + cells[row, 1]) * (cells[0, column] + cells[1, column]) / Identities.Length;
                statistic += Math.Pow(cells[row, column] - expected, 2) / expected;
            }
        }

        PValue(statistic, 1).ShouldBeGreaterThan(1e-4);
    }

    private static double PValue(double statistic, int freedom) => 1 - ChiSquared.CDF(freedom, statistic);
}
