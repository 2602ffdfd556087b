namespace Experiments.Api.Platform;

/// <summary>What a handler answers: a value, or the reason why there is none. Expected refusals are values, never exceptions.</summary>
internal readonly struct Outcome<T> : IOutcome<Outcome<T>>
    where T : class
{
    private Outcome(T? value, Refusal? refusal) => (Value, Refusal) = (value, refusal);

    public T? Value { get; }

    public Refusal? Refusal { get; }

    public static implicit operator Outcome<T>(T value) => new(value, null);

    public static implicit operator Outcome<T>(Refusal refusal) => new(null, refusal);

    public static implicit operator Outcome<T>(Problem problem) => new(null, problem);

    /// <summary>As the conversion, which an interface does not have.</summary>
    public static Outcome<T> Of(T value) => new(value, null);

    public static Outcome<T> Refused(Refusal refusal) => refusal;
}

/// <summary>Lets the pipeline refuse a request without knowing what it would have answered.</summary>
internal interface IOutcome<TSelf>
{
    static abstract TSelf Refused(Refusal refusal);
}

/// <summary>The value of a request that answers nothing.</summary>
internal sealed class Nothing
{
    public static readonly Nothing Value = new();
}
