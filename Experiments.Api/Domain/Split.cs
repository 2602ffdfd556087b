namespace Experiments.Api.Domain;

/// <summary>How the identities of an experiment are allocated: a percentage weight per variant.</summary>
internal static class Split
{
    /// <summary>Weights are decimals, so this only tolerates rounding by the client, such as a division by three.</summary>
    public const decimal Tolerance = 0.000001m;

    /// <summary>Control and ten options.</summary>
    public const int MaxVariants = 11;

    /// <summary>What control takes where its weight is not given: the rest. Null where it is given.</summary>
    public static decimal? Rest(IEnumerable<(string? Key, decimal? Weight)> split)
    {
        var given = split.ToList();
        return given.Any(share => share is { Key: Slug.Control, Weight: not null })
            ? null
            : Math.Max(0, 100 - given.Where(share => share.Key != Slug.Control).Sum(share => Math.Clamp(share.Weight ?? 0, 0, 100)));
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
