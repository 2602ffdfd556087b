using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Experiments.Api.Domain;

/// <summary>
/// How Flagsmith's SDKs assign identities when they evaluate flags themselves, so that a server that does so and a browser that asks this
/// service agree. The numbers are those of its engine: the MD5 of the ids and the identity, modulo 9,999, as a percentage.
/// </summary>
/// <param name="EnvironmentId">The environment, which its engine puts before the identifier.</param>
/// <param name="ExperimentId">The experiment, which is the segment of the rollout.</param>
internal sealed record FlagsmithHashing(long EnvironmentId, long ExperimentId)
{
    /// <summary>How an experiment says that it is assigned like this.</summary>
    public const string Name = "flagsmith";

    /// <summary>This, if the experiment says so, or null.</summary>
    public static FlagsmithHashing? Of(string? hashing, long environmentId, long? experimentId) =>
        hashing == Name ? new(environmentId, experimentId!.Value) : null;

    /// <summary>What the document of the environment calls its key. The real one can be rotated, and is not part of the hash.</summary>
    public static string EnvironmentName(long environmentId) => string.Create(CultureInfo.InvariantCulture, $"environment-{environmentId}");

    /// <summary>The number, from 0 to 100, up to which a rollout includes the identity.</summary>
    public double Enrolment(string identifier) => Percentage(ExperimentId.ToString(CultureInfo.InvariantCulture), Composite(identifier));

    /// <summary>The index of the variant: those after control take their shares from 0 on, and control takes the rest.</summary>
    public int Variant(string salt, string identifier, IReadOnlyList<double> weights)
    {
        var (value, start) = (Percentage(salt, Composite(identifier)), 0.0);
        for (var index = 1; index < weights.Count; index++)
        {
            var end = start + weights[index];
            if (start <= value && value < end)
            {
                return index;
            }

            start = end;
        }

        return 0;
    }

    /// <summary>The percentage, from 0 to below 100, of an id and an identity.</summary>
    public static double Percentage(string id, string identity)
    {
        var pair = $"{id},{identity}";
        for (var text = pair; ; text += $",{pair}")
        {
#pragma warning disable CA5351 // It spreads identities evenly, and keeps nothing secret.
            var hash = MD5.HashData(Encoding.UTF8.GetBytes(text));
#pragma warning restore CA5351
            var number = new BigInteger(hash, isUnsigned: true, isBigEndian: true);
            var percentage = (double)(number % 9999) / 9998 * 100;
            // Its engine hashes again what would be 100, so that the last share is not one too large.
            if (percentage < 100)
            {
                return percentage;
            }
        }
    }

    private string Composite(string identifier) => $"{EnvironmentName(EnvironmentId)}_{identifier}";
}
