using Experiments.Api.Domain;

namespace Experiments.Tests.Domain;

/// <summary>Numbers that the engine of flagsmith-nodejs 8.1.2 computes.</summary>
public class FlagsmithHashingTests
{
    [Theory]
    [InlineData("2001", "env_pub_1_user-1", 10.552110422084416)]
    [InlineData("2001", "env_pub_1_user-2", 85.44708941788357)]
    [InlineData("2001", "env_pub_1_alice@example.com", 2.870574114822965)]
    [InlineData("501", "env_pub_1_user-1", 40.408081616323265)]
    [InlineData("6f1a2b3c-0000-4000-8000-000000000001", "env_pub_1_user-1", 70.75415083016603)]
    [InlineData("2001", "env_pub_1_é", 5.201040208041608)]
    // The first hash of this one is 100, so it is hashed again.
    [InlineData("2001", "env_pub_1_u13163", 4.880976195239048)]
    public void A_percentage_is_that_of_the_engine(string id, string identity, double expected) =>
        FlagsmithHashing.Percentage(id, identity).ShouldBe(expected);

    [Fact]
    public void Variants_take_their_shares_from_zero_on_and_control_takes_the_rest()
    {
        var hashing = new FlagsmithHashing(1, 1);
        for (var n = 0; n < 1000; n++)
        {
            var percentage = FlagsmithHashing.Percentage("salt", $"environment-1_user-{n}");
            hashing
                .Variant("salt", $"user-{n}", [50, 20, 30])
                .ShouldBe(
                    percentage < 20 ? 1
                    : percentage < 50 ? 2
                    : 0
                );
        }
    }
}
