namespace Experiments.Api.Platform;

/// <summary>The result of a handler: a value, or the reason why there is none. Expected failures are values, never exceptions.</summary>
internal readonly struct Result<T> : IFailable<Result<T>>
    where T : class
{
    private Result(T? value, ProblemResult? refusal) => (Value, Failure) = (value, refusal);

    public T? Value { get; }

    public ProblemResult? Failure { get; }

    public static implicit operator Result<T>(T value) => new(value, null);

    public static implicit operator Result<T>(ProblemResult refusal) => new(null, refusal);

    public static implicit operator Result<T>(Problem problem) => new(null, problem);

    /// <summary>The same as the implicit conversion, which C# does not allow from an interface.</summary>
    public static Result<T> Of(T value) => new(value, null);

    public static Result<T> Failed(ProblemResult refusal) => refusal;
}

/// <summary>Allows the pipeline to reject a request without knowing its response type.</summary>
internal interface IFailable<TSelf>
{
    static abstract TSelf Failed(ProblemResult refusal);
}

/// <summary>The value of a request without a response body.</summary>
internal sealed class Nothing
{
    public static readonly Nothing Value = new();
}
