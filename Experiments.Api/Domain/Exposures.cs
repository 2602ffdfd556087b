namespace Experiments.Api.Domain;

/// <summary>
/// What the exposures of one identity to one experiment amount to. To merge is to unite what was seen and to keep the earliest
/// of each instant, which is commutative, associative and idempotent: the result does not depend on the order in which events
/// arrive, nor on how often.
/// </summary>
/// <param name="Own">The place of the variant that assignment gives to the identity.</param>
/// <param name="Seen">The variants it was shown while the experiment ran: a bit for each place.</param>
/// <param name="SeenAt">Its first exposure while the experiment ran.</param>
/// <param name="EnrolledAt">The first of those at which the rollout admitted it.</param>
/// <param name="PausedAt">Its first exposure during a pause.</param>
internal readonly record struct Exposures(int Own, int Seen, DateTime? SeenAt, DateTime? EnrolledAt, DateTime? PausedAt)
{
    public const string SeveralVariants = "several_variants";
    public const string NotItsOwnVariant = "not_its_own_variant";
    public const string NotEnrolled = "not_enrolled";
    public const string WhilePaused = "while_paused";
    public const string NoIdentifier = "no_identifier";

    /// <summary>What goes before the key of the variant in which an identity counts.</summary>
    public const string InVariant = "variant:";

    /// <summary>The place that stands for every variant that the experiment does not have.</summary>
    public const int Foreign = 30;

    /// <summary>Why identities, or exposures without one, are set aside.</summary>
    public static readonly IReadOnlyList<string> Reasons = [SeveralVariants, NotItsOwnVariant, NotEnrolled, WhilePaused, NoIdentifier];

    public static Exposures WhileRunning(int own, int shown, DateTime at, bool isEnrolled) => new(own, 1 << shown, at, isEnrolled ? at : null, null);

    public static Exposures DuringPause(int own, DateTime at) => new(own, 0, null, null, at);

    public Exposures Merge(Exposures other) =>
        new(Own, Seen | other.Seen, Earlier(SeenAt, other.SeenAt), Earlier(EnrolledAt, other.EnrolledAt), Earlier(PausedAt, other.PausedAt));

    /// <summary>Since when the identity counts in its own variant, or null when it is set aside.</summary>
    public DateTime? CountsFrom => Reason is null ? EnrolledAt : null;

    /// <summary>Why the identity is set aside, or null when it counts.</summary>
    public string? Reason =>
        Seen == 0 ? WhilePaused
        : int.PopCount(Seen) > 1 ? SeveralVariants
        : Seen != 1 << Own ? NotItsOwnVariant
        : EnrolledAt is null ? NotEnrolled
        : null;

    /// <summary>The instant under which it is counted, whatever as.</summary>
    public DateTime At => CountsFrom ?? SeenAt ?? PausedAt!.Value;

    private static DateTime? Earlier(DateTime? one, DateTime? other) => one is null ? other : other is null || one < other ? one : other;
}
