namespace Experiments.Api.Statistics;

/// <summary>
/// All that is kept of an arm: sums over its identities. They add up over days, strata and machines, and every method here needs
/// nothing else. y is the metric of an identity, d the denominator of a ratio, x the covariate from before the exposure, and w that of the
/// denominator.
/// </summary>
/// <param name="N">How many identities.</param>
/// <param name="Sum">Σ y.</param>
/// <param name="SumSquares">Σ y².</param>
/// <param name="DenominatorSum">Σ d.</param>
/// <param name="DenominatorSumSquares">Σ d².</param>
/// <param name="CrossSum">Σ y d.</param>
/// <param name="CovariateSum">Σ x.</param>
/// <param name="CovariateSumSquares">Σ x².</param>
/// <param name="CovariateCrossSum">Σ y x.</param>
/// <param name="NonZero">How many identities have a y other than 0.</param>
/// <param name="DenominatorNonZero">How many have a d other than 0.</param>
internal readonly record struct SufficientStatistics(
    double N,
    double Sum,
    double SumSquares,
    double DenominatorSum = 0,
    double DenominatorSumSquares = 0,
    double CrossSum = 0,
    double CovariateSum = 0,
    double CovariateSumSquares = 0,
    double CovariateCrossSum = 0,
    double NonZero = 0,
    double DenominatorNonZero = 0
)
{
    /// <summary>The sums of the covariate of a ratio's denominator.</summary>
    public DenominatorCovariate Prior { get; init; }

    private CentredSums? Given { get; init; }

    /// <summary>The sums about the means: as they were given, or else from the raw sums.</summary>
    public CentredSums Centred
    {
        get => Given ?? CentredSums.Of(this);
        init => Given = value;
    }

    /// <summary>Whether no sum has overflowed.</summary>
    public bool AreFinite =>
        double.IsFinite(Sum)
        && double.IsFinite(SumSquares)
        && double.IsFinite(DenominatorSum)
        && double.IsFinite(DenominatorSumSquares)
        && double.IsFinite(CrossSum)
        && double.IsFinite(CovariateSum)
        && double.IsFinite(CovariateSumSquares)
        && double.IsFinite(CovariateCrossSum)
        && Prior.IsFinite();

    public static SufficientStatistics operator +(SufficientStatistics one, SufficientStatistics other) =>
        new(
            one.N + other.N,
            one.Sum + other.Sum,
            one.SumSquares + other.SumSquares,
            one.DenominatorSum + other.DenominatorSum,
            one.DenominatorSumSquares + other.DenominatorSumSquares,
            one.CrossSum + other.CrossSum,
            one.CovariateSum + other.CovariateSum,
            one.CovariateSumSquares + other.CovariateSumSquares,
            one.CovariateCrossSum + other.CovariateCrossSum,
            one.NonZero + other.NonZero,
            one.DenominatorNonZero + other.DenominatorNonZero
        )
        {
            Prior = one.Prior + other.Prior,
            Given = one.Given is null && other.Given is null ? null : CentredSums.Together(one, other),
        };

    public static SufficientStatistics Add(SufficientStatistics left, SufficientStatistics right) => left + right;
}

/// <summary>Sums of the covariate w of a ratio's denominator: what the denominator was before the exposure.</summary>
/// <param name="Sum">Σ w.</param>
/// <param name="SumSquares">Σ w².</param>
/// <param name="CovariateCrossSum">Σ x w.</param>
/// <param name="CrossSum">Σ y w.</param>
/// <param name="DenominatorCovariateCrossSum">Σ d x.</param>
/// <param name="DenominatorCrossSum">Σ d w.</param>
internal readonly record struct DenominatorCovariate(
    double Sum,
    double SumSquares,
    double CovariateCrossSum,
    double CrossSum,
    double DenominatorCovariateCrossSum,
    double DenominatorCrossSum
)
{
    /// <summary>Whether no sum has overflowed.</summary>
    public bool IsFinite() =>
        double.IsFinite(Sum)
        && double.IsFinite(SumSquares)
        && double.IsFinite(CovariateCrossSum)
        && double.IsFinite(CrossSum)
        && double.IsFinite(DenominatorCovariateCrossSum)
        && double.IsFinite(DenominatorCrossSum);

    public static DenominatorCovariate operator +(DenominatorCovariate one, DenominatorCovariate other) =>
        new(
            one.Sum + other.Sum,
            one.SumSquares + other.SumSquares,
            one.CovariateCrossSum + other.CovariateCrossSum,
            one.CrossSum + other.CrossSum,
            one.DenominatorCovariateCrossSum + other.DenominatorCovariateCrossSum,
            one.DenominatorCrossSum + other.DenominatorCrossSum
        );

    public static DenominatorCovariate Add(DenominatorCovariate left, DenominatorCovariate right) => left + right;
}
