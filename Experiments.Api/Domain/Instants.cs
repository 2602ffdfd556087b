namespace Experiments.Api.Domain;

/// <summary>The earlier and the later of two instants.</summary>
internal static class Instants
{
    public static DateTime Earlier(DateTime one, DateTime other) => one < other ? one : other;

    public static DateTime Later(DateTime one, DateTime other) => one > other ? one : other;
}
