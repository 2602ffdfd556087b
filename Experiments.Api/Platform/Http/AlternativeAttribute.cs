namespace Experiments.Api.Platform.Http;

/// <summary>Says of a type that is written in more than one way what an object stands for, and what else there may be.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class AlternativeAttribute(Type type, string expected) : Attribute
{
    /// <summary>What an object is read as.</summary>
    public Type Type { get; } = type;

    /// <summary>What may be given.</summary>
    public string Expected { get; } = expected;
}
