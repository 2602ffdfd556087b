namespace Experiments.Api.Platform;

/// <summary>What a handler answers: a value, or the reason why there is none. Expected refusals are values, never exceptions.</summary>
internal readonly struct Result<T> : IFailable<Result<T>>
    where T : class
{
    private Result(T? value, ProblemResult? refusal) => (Value, Failure) = (value, refusal);

    public T? Value { get; }

    public ProblemResult? Failure { get; }

    public static implicit operator Result<T>(T value) => new(value, null);

    public static implicit operator Result<T>(ProblemResult refusal) => new(null, refusal);

    public static implicit operator Result<T>(Problem problem) => new(null, problem);

    /// <summary>As the conversion, which an interface does not have.</summary>
    public static Result<T> Of(T value) => new(value, null);

    public static Result<T> Failed(ProblemResult refusal) => refusal;
}

/// <summary>Lets the pipeline refuse a request without knowing what it would have answered.</summary>
internal interface IFailable<TSelf>
{
    static abstract TSelf Failed(ProblemResult refusal);
}

/// <summary>The value of a request that answers nothing.</summary>
internal sealed class Nothing
{
    public static readonly Nothing Value = new();
}
