namespace Experiments.Api.Domain;

/// <summary>
/// The merged exposures of one identity to one experiment. Merging unites the variants seen and keeps the earliest of each instant. It is
/// commutative, associative and idempotent, so the result depends neither on the order in which events arrive nor on how often.
/// </summary>
/// <param name="AssignedVariants">The variants that assignment gives to the identity and to its aliases: a bit for each index, and one for
/// <see cref="HeldOut"/>; see <see cref="Assigned"/>.</param>
/// <param name="ShownVariants">The variants it was shown while the experiment ran: a bit for each index.</param>
/// <param name="SeenAt">Its first exposure while the experiment ran.</param>
/// <param name="First">The index of the variant that it was shown then.</param>
/// <param name="EnrolledAt">Its first such exposure at which the rollout included it.</param>
/// <param name="PausedAt">Its first exposure during a pause.</param>
/// <param name="BeforeAt">Its first exposure that names the experiment but precedes its start.</param>
/// <param name="Levels">Its levels at <paramref name="EnrolledAt"/>, if the experiment has breakdowns.</param>
internal readonly record struct ExposureState(
    int AssignedVariants,
    int ShownVariants,
    DateTime? SeenAt,
    int? First,
    DateTime? EnrolledAt,
    DateTime? PausedAt,
    DateTime? BeforeAt = null,
    TraitLevels? Levels = null
)
{
    public const string SeveralVariants = "several_variants";
    public const string NotItsOwnVariant = "not_its_own_variant";
    public const string NotEnrolled = "not_enrolled";
    public const string WhilePaused = "while_paused";
    public const string BeforeStart = "before_start";
    public const string NoIdentifier = "no_identifier";
    public const string TestIdentity = "test_identity";

    /// <summary>The prefix of the variant key in the outcome of an identity that counts.</summary>
    public const string InVariant = "variant:";

    /// <summary>The outcome of a held-out identity.</summary>
    public const string InHoldout = "held_out";

    /// <summary>The index of those whom a holdout keeps out.</summary>
    public const int HeldOut = -1;

    /// <summary>The index that stands for every variant that the experiment does not have.</summary>
    public const int Foreign = 30;

    // Among the bits of what was seen, the one that says that an exposure was a test.
    private const int Test = 1 << 29;

    // Among the bits of what was assigned, the one of those whom the holdout keeps out.
    private const int OutBit = 1 << 30;

    /// <summary>Why identities, or exposures without one, are excluded.</summary>
    public static readonly IReadOnlyList<string> Reasons =
    [
        SeveralVariants,
        NotItsOwnVariant,
        NotEnrolled,
        WhilePaused,
        BeforeStart,
        NoIdentifier,
        TestIdentity,
    ];

    public static ExposureState WhileRunning(
        int assigned,
        int shown,
        DateTime at,
        bool isEnrolled,
        bool isTest = false,
        TraitLevels? levels = null
    ) =>
        new(
            Assigned(assigned),
            (1 << shown) | (isTest ? Test : 0),
            at,
            shown,
            isEnrolled ? at : null,
            null,
            null,
            isEnrolled ? levels : null
        );

    public static ExposureState DuringPause(int assigned, DateTime at, bool isTest = false) =>
        new(Assigned(assigned), isTest ? Test : 0, null, null, null, at);

    public static ExposureState TooEarly(int assigned, DateTime at, bool isTest = false) =>
        new(Assigned(assigned), isTest ? Test : 0, null, null, null, null, at);

    /// <summary>The bit of an assigned variant.</summary>
    /// <param name="variant">Its index, or <see cref="HeldOut"/>.</param>
    public static int Assigned(int variant) => variant == HeldOut ? OutBit : 1 << variant;

    /// <summary>Whether there was any exposure.</summary>
    public bool IsExposed => (SeenAt ?? PausedAt ?? BeforeAt) is not null;

    public ExposureState Merge(ExposureState other) =>
        new(
            AssignedVariants | other.AssignedVariants,
            ShownVariants | other.ShownVariants,
            Earlier(SeenAt, other.SeenAt),
            SeenAt == other.SeenAt ? Least(First, other.First)
                : Earlier(SeenAt, other.SeenAt) == SeenAt ? First
                : other.First,
            Earlier(EnrolledAt, other.EnrolledAt),
            Earlier(PausedAt, other.PausedAt),
            Earlier(BeforeAt, other.BeforeAt),
            EnrolledAt == other.EnrolledAt ? Least(Levels, other.Levels)
                : Earlier(EnrolledAt, other.EnrolledAt) == EnrolledAt ? Levels
                : other.Levels
        );

    /// <summary>Where the identity counts, or why it does not.</summary>
    /// <param name="countsWhereFirst">Whether those who saw several variants count in the one that they saw first.</param>
    public Inclusion Include(bool countsWhereFirst)
    {
        var shown = ShownVariants & ~Test;
        return (ShownVariants & Test) != 0 ? Inclusion.Excluded(TestIdentity)
            : shown == 0 ? Inclusion.Excluded(PausedAt is null ? BeforeStart : WhilePaused)
            : AssignedVariants == OutBit ? (shown == 1 ? Counting(HeldOut) : Inclusion.Excluded(NotItsOwnVariant))
            : countsWhereFirst ? (First is { } first and not Foreign ? Counting(first) : Inclusion.Excluded(NotItsOwnVariant))
            : int.PopCount(shown) > 1 ? Inclusion.Excluded(SeveralVariants)
            : (shown & AssignedVariants & ~OutBit) != 0 ? Counting(int.Log2(shown))
            // One of several identities of a person, and the only one that was exposed.
            : shown == 1 && (AssignedVariants & OutBit) != 0 ? Counting(HeldOut)
            : Inclusion.Excluded(NotItsOwnVariant);
    }

    /// <summary>
    /// The instant under which it is counted, whatever its outcome: the start of its inclusion if it counts, or else its first exposure.
    /// </summary>
    public DateTime At(Inclusion standing) => standing.From ?? SeenAt ?? PausedAt ?? BeforeAt!.Value;

    private Inclusion Counting(int arm) => EnrolledAt is { } from ? new(null, arm, from) : Inclusion.Excluded(NotEnrolled);

    private static DateTime? Earlier(DateTime? one, DateTime? other) =>
        one is null ? other
        : other is null || one < other ? one
        : other;

    private static int? Least(int? one, int? other) =>
        one is null ? other
        : other is null || one < other ? one
        : other;

    private static TraitLevels? Least(TraitLevels? one, TraitLevels? other) =>
        one is null ? other
        : other is null || one.CompareTo(other) < 0 ? one
        : other;
}

/// <summary>Where an identity counts, or why it does not.</summary>
/// <param name="Reason">Why it is excluded, or null when it counts.</param>
/// <param name="Arm">The index of the variant that it counts in, <see cref="ExposureState.HeldOut"/> where a holdout keeps it out; null
/// when it is excluded.</param>
/// <param name="From">Since when.</param>
internal readonly record struct Inclusion(string? Reason, int? Arm, DateTime? From)
{
    public static Inclusion Excluded(string reason) => new(reason, null, null);
}
