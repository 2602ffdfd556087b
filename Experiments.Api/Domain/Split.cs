namespace Experiments.Api.Domain;

/// <summary>How the identities of an experiment are allocated: a percentage weight per variant.</summary>
internal static class Split
{
    /// <summary>Weights are decimals, so this only tolerates rounding by the client, such as a division by three.</summary>
    public const decimal Tolerance = 0.000001m;

    /// <summary>Control and ten options.</summary>
    public const int MaxVariants = 11;

    /// <summary>The split with control, which may be left out, or left without a weight, and then takes the rest.</summary>
    /// <param name="split">The shares as they were sent; null without a split.</param>
    /// <param name="share">The key and the weight of a share.</param>
    /// <param name="weigh">Control with this weight: the share that was sent, or a new one for null.</param>
    public static IReadOnlyList<T?>? WithControl<T>(
        IReadOnlyList<T?>? split,
        Func<T, (string? Key, decimal? Weight)> share,
        Func<T?, decimal, T> weigh
    )
        where T : class
    {
        if (split is null || split.Any(sent => sent is not null && share(sent) is { Key: Slug.Control, Weight: not null }))
        {
            return split;
        }

        var rest = Math.Max(
            0,
            100 - split.Sum(sent => IsControl(sent) ? 0 : Math.Clamp(sent is null ? 0 : share(sent).Weight ?? 0, 0, 100))
        );
        return split.Any(IsControl) ? [.. split.Select(sent => IsControl(sent) ? weigh(sent, rest) : sent)] : [.. split, weigh(null, rest)];

        bool IsControl(T? sent) => sent is not null && share(sent).Key == Slug.Control;
    }

    /// <summary>Reports, by path below <paramref name="field"/>, what is wrong with a split; nothing when there is none to check.</summary>
    public static void Check(string field, IEnumerable<(string? Key, decimal? Weight)>? split, Action<string, string> report)
    {
        if (split is null)
        {
            return;
        }

        var index = 0;
        var sum = 0m;
        var keys = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (key, weight) in split)
        {
            if (index == MaxVariants)
            {
                report(field, $"There may be {MaxVariants} of these at most.");
                return;
            }

            if (!Slug.IsValid(key))
            {
                report($"{field}[{index}].key", "This is required: letters, digits, hyphens and underscores.");
            }
            else if (!keys.Add(key!))
            {
                report($"{field}[{index}].key", "This variant is given twice.");
            }

            if (weight is not (>= 0 and <= 100))
            {
                report($"{field}[{index}].weight", "This is required and must be from 0 to 100.");
            }

            sum += weight is >= 0 and <= 100 ? weight.Value : 0;
            index++;
        }

        if (!keys.Contains(Slug.Control))
        {
            report(field, "One of these must be 'control'.");
        }

        if (Math.Abs(sum - 100) > Tolerance)
        {
            report(field, "The weights must sum to 100.");
        }
    }
}
