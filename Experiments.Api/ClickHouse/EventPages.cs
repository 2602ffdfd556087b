using System.Globalization;

namespace Experiments.Api.ClickHouse;

/// <summary>Divides all events into pages: some small environments together, and a part of a large one.</summary>
internal static class EventPages
{
    // By how much a page may be larger than it should.
    private const int MostOver = 2;

    private static readonly string IsAnonymous = $"identity = '{Guid.Empty}'";

    /// <summary>What is true of the events of each page.</summary>
    /// <param name="shards">Where they are.</param>
    /// <param name="size">About how many events a page has.</param>
    /// <param name="ct">Ends it.</param>
    public static async Task<IReadOnlyList<string>> Of(ClickHouseShards shards, int size, CancellationToken ct)
    {
        var environments = new Dictionary<long, (long All, long Anonymous)>();
        await shards.Read(
            $"SELECT environment_id, toInt64(count()), toInt64(countIf({IsAnonymous})) FROM events GROUP BY environment_id",
            null,
            row =>
            {
                var (all, anonymous) = environments.GetValueOrDefault(row.GetInt64(0));
                environments[row.GetInt64(0)] = (all + row.GetInt64(1), anonymous + row.GetInt64(2));
            },
            ct
        );
        var (pages, together, events) = (new List<string>(), new List<long>(), 0L);
        foreach (var (id, (all, anonymous)) in environments)
        {
            if (all > size)
            {
                foreach (var part in Identified(all - anonymous, size).Append(IsAnonymous))
                {
                    pages.AddRange(await ByKey($"{In([id])} AND {part}"));
                }

                continue;
            }

            if (events + all > size)
            {
                pages.Add(In(together));
                (together, events) = ([], 0);
            }

            together.Add(id);
            events += all;
        }

        return together.Count == 0 ? pages : [.. pages, In(together)];

        static string In(IEnumerable<long> ids) => $"environment_id IN {Literal.List(ids)}";

        // There may be many of one identity, as there are of none. Their keys are hashes, which are spread evenly.
        async Task<IEnumerable<string>> ByKey(string part)
        {
            var count = await shards.Sum($"SELECT toInt64(count()) FROM events WHERE {part}", null, ct);
            return count <= MostOver * size
                ? [part]
                : from range in Ranges(Int128.One << 64, (count / size) + 1)
                let keys = string.Create(
                    CultureInfo.InvariantCulture,
                    $"{long.MinValue + range.First} AND {long.MinValue + range.Next - 1}"
                )
                select $"{part} AND key BETWEEN {keys}";
        }
    }

    private static IEnumerable<string> Identified(long events, int size) =>
        from range in Ranges(IdentityPlaces.Count, Math.Min(events / size, IdentityPlaces.Count - 1) + 1)
        select $"NOT {IsAnonymous} AND {IdentityPlaces.Between((int)range.First, (int)range.Next)}";

    private static IEnumerable<(Int128 First, Int128 Next)> Ranges(Int128 whole, long parts)
    {
        for (Int128 part = 0; part < parts; part++)
        {
            yield return (whole * part / parts, whole * (part + 1) / parts);
        }
    }
}
