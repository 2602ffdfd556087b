using Experiments.Api.Statistics;

namespace Experiments.Tests.Support;

/// <summary>The sums of an arm as the formulas have them: y, y², d, d², yd, x, x², yx, and how many y and d are not 0.</summary>
internal static class SumsOfArm
{
    public static SufficientStatistics Of(params double[] s) => new(0, s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], s[9]);
}
