namespace Experiments.Api.Platform.Http;

/// <summary>What a part of a body must be, for parts that are checked as a whole; a test holds it to what the check refuses.</summary>
[AttributeUsage(AttributeTargets.Property | AttributeTargets.Parameter)]
internal sealed class MustAttribute : Attribute
{
    public bool Required { get; init; }

    /// <summary>In characters; 0 for any.</summary>
    public int MaxLength { get; init; }

    public double Minimum { get; init; } = double.NaN;

    public double Maximum { get; init; } = double.NaN;

    public double Above { get; init; } = double.NaN;

    public double Below { get; init; } = double.NaN;

    /// <summary>Of a list; 0 for any.</summary>
    public int MinItems { get; init; }

    /// <summary>Of a list; 0 for any.</summary>
    public int MaxItems { get; init; }

    /// <summary>What it is when it is not given.</summary>
    public object? Default { get; init; }
}
