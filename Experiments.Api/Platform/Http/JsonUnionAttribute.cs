namespace Experiments.Api.Platform.Http;

/// <summary>For a type with several JSON forms: the type that an object is read as, and a description of the valid forms.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class JsonUnionAttribute(Type type, string expected) : Attribute
{
    /// <summary>What an object is read as.</summary>
    public Type Type { get; } = type;

    /// <summary>What may be given.</summary>
    public string Expected { get; } = expected;
}
