using Experiments.Api.Domain;

namespace Experiments.Tests.Domain;

public class SlugTests
{
    [Theory]
    [InlineData("a")]
    [InlineData("Green-Button_2")]
    public void Letters_digits_hyphens_and_underscores_make_a_key(string key) => Slug.IsValid(key).ShouldBeTrue();

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("grün")]
    [InlineData("a\n")]
    [InlineData("٣")]
    public void Nothing_else_does(string? key) => Slug.IsValid(key).ShouldBeFalse();

    [Fact]
    public void A_key_has_255_characters_at_most()
    {
        Slug.IsValid(new string('k', 255)).ShouldBeTrue();
        Slug.IsValid(new string('k', 256)).ShouldBeFalse();
    }
}
