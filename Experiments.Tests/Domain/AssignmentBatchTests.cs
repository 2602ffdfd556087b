using Experiments.Api.Domain;

namespace Experiments.Tests.Domain;

public class AssignmentBatchTests
{
    [Theory]
    [InlineData("")]
    [InlineData("user-1")]
    [InlineData("é\u20ac😀")]
    public void Several_at_once_are_the_same_as_one_after_the_other(string mark)
    {
        var random = new Random(mark.Length);
        for (var count = 0; count <= 20; count++)
        {
            string[] salts = [.. Enumerable.Range(0, count).Select(_ => Guid.NewGuid().ToString("N"))];
            var batch = new AssignmentBatch(salts);
            var (draws, hashes) = (new double[count], new double[count]);
            // Around each length at which another block begins, and some that do not fit on the stack.
            foreach (var length in Enumerable.Range(0, 200).Append(random.Next(300, 2000)))
            {
                var identifier = mark + new string('x', length);
                batch.Draws(identifier, draws);
                batch.VariantHashes(identifier, hashes);

                draws.ShouldBe(salts.Select(salt => Assignment.Draw(salt, identifier)));
                hashes.ShouldBe(salts.Select(salt => Assignment.VariantHash(salt, identifier)));
            }
        }
    }

    [Theory]
    [InlineData("afb3e99dde1740e8920a20baf3fe04da", true)]
    [InlineData("feature-1", false)]
    [InlineData("", false)]
    [InlineData("éfb3e99dde1740e8920a20baf3fe04da", false)]
    [InlineData("afb3e99dde1740e8920a20baf3fe04dab", false)]
    public void A_salt_is_in_a_batch_if_it_is_one_that_the_database_makes(string salt, bool can) =>
        AssignmentBatch.CanHave(salt).ShouldBe(can && Sha1Lanes.IsFast);
}
