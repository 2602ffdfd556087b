using System.Globalization;
using System.IO.Hashing;
using System.Text;

namespace Experiments.Api.Demo;

/// <summary>Makes up what visitors do: the same for the same visitor in every run.</summary>
internal static class DemoVisitors
{
    /// <summary>The events of one visitor.</summary>
    /// <param name="experiment">What it sees.</param>
    /// <param name="identifier">Who it is.</param>
    /// <param name="variant">The variant that it is served; null where a holdout keeps it out.</param>
    /// <param name="from">The first moment at which it may come.</param>
    /// <param name="within">For how long it may come after that.</param>
    public static IEnumerable<object> Events(DemoExperiment experiment, string identifier, string? variant, DateTime from, TimeSpan within)
    {
        var random = new Random((int)XxHash32.HashToUInt32(Encoding.UTF8.GetBytes($"{experiment.Feature} {identifier}")));
        var index = Math.Max(0, experiment.Variants.ToList().IndexOf(variant ?? ""));
        if (random.NextDouble() < (index == 0 ? 0 : experiment.Lost))
        {
            yield break;
        }

        var at = new DateTimeOffset(from + (random.NextDouble() * 0.9 * within)).ToUnixTimeMilliseconds();
        yield return new
        {
            @event = "$flag_exposure",
            feature_name = experiment.Feature,
            identifier,
            value = variant,
            timestamp = at,
            traits = new { country = Countries[random.Next(Countries.Length)], device = random.NextDouble() < 0.6 ? "phone" : "desktop" },
        };
        foreach (var habit in experiment.Habits)
        {
            if (random.NextDouble() < habit.Rate[index])
            {
                at += (long)(random.NextDouble() * 0.03 * within.TotalMilliseconds);
                yield return new
                {
                    @event = habit.Event,
                    identifier,
                    timestamp = at,
                    value = habit.Value is { } mean
                        ? (mean * Math.Exp((habit.Spread * Normal(random)) - (habit.Spread * habit.Spread / 2))).ToString(
                            "0.00",
                            CultureInfo.InvariantCulture
                        )
                        : null,
                };
            }
        }
    }

    private static readonly string[] Countries = ["CH", "DE", "DE", "FR", "IT", "AT"];

    // Box and Muller.
    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
