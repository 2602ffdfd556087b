namespace Experiments.Api.Domain;

/// <summary>
/// Assigns variants for one experiment and decides who takes part. Evaluation and aggregation share this code, so what is served always
/// matches what is counted.
/// </summary>
/// <param name="salt">The salt of the experiment.</param>
/// <param name="weights">The weights of its variants, in percent, in their order.</param>
/// <param name="holdoutSalt">The salt of its holdout, if it has one.</param>
/// <param name="holdoutPercentage">The share of identities that the holdout keeps out, in percent.</param>
/// <param name="flagsmith">Set where Flagsmith's SDKs are to assign the same.</param>
internal sealed class VariantAssigner(
    string salt,
    IReadOnlyCollection<decimal> weights,
    string? holdoutSalt,
    decimal holdoutPercentage,
    FlagsmithHashing? flagsmith = null
)
{
    private readonly double[] _cumulative = Assignment.Cumulate(weights);
    private readonly double[] _weights = [.. weights.Select(weight => (double)weight)];

    /// <summary>Whether the holdout keeps the identity out.</summary>
    public bool HoldsOut(string identifier) => holdoutSalt is not null && Assignment.Admits(holdoutSalt, identifier, holdoutPercentage);

    /// <summary>The same, for checking several experiments for one identity.</summary>
    /// <param name="identifier">The identity.</param>
    /// <param name="known">The previous result. It is reused for the same holdout, and replaced otherwise.</param>
    public bool HoldsOut(string identifier, ref HoldoutCheck known)
    {
        if (holdoutSalt is null)
        {
            return false;
        }

        if (known.Salt != holdoutSalt)
        {
            known = new(holdoutSalt, HoldsOut(identifier));
        }

        return known.HoldsOut;
    }

    /// <summary>The number, from 0 to 1, below which a rollout must not fall to include the identity.</summary>
    public double Draw(string identifier) =>
        // Flagsmith's engine includes whoever is equal to the rollout.
        flagsmith is null
            ? Assignment.Draw(salt, identifier)
            : Math.BitDecrement(flagsmith.Enrolment(identifier) / 100);

    /// <summary>Whether a rollout of so many percent includes the identity.</summary>
    public bool IsIncluded(string identifier, decimal rollout) =>
        flagsmith is null ? Assignment.Admits(salt, identifier, rollout)
        : rollout is > 0 and < 100 ? flagsmith.Enrolment(identifier) <= (double)rollout
        : rollout > 0;

    /// <summary>The salt, if identities can be assigned by hashes of an <see cref="AssignmentBatch"/>; null otherwise.</summary>
    public string? BatchSalt => flagsmith is null && AssignmentBatch.CanHave(salt) ? salt : null;

    /// <summary>The index of the variant by its hash.</summary>
    public int Variant(double hash) => Assignment.Variant(hash, _cumulative);

    /// <summary>The index of the identity's variant, whether it takes part or not.</summary>
    public int Variant(string identifier) =>
        flagsmith is null ? Assignment.Variant(salt, identifier, _cumulative) : flagsmith.Variant(salt, identifier, _weights);
}

/// <summary>Whether the holdout of this salt keeps an identity out; most experiments of an environment share one.</summary>
internal readonly record struct HoldoutCheck(string? Salt, bool HoldsOut);
