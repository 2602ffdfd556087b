namespace Experiments.Api.Ingestion;

/// <summary>The names of events that mean something to the service. All others are the application's own, also those with a '$'.</summary>
internal static class EventNames
{
    /// <summary>The identity of the event is known, and <c>metadata.$anon_distinct_id</c> was it before that.</summary>
    public const string Identify = "$identify";

    /// <summary>The identity of the event and <c>metadata.alias</c> are the same person.</summary>
    public const string CreateAlias = "$create_alias";

    public const string Reserved = "Names that start with '$flag_' or '$experiment_' are reserved.";

    public static bool IsReserved(string? name) =>
        name?.StartsWith("$flag_", StringComparison.Ordinal) == true || name?.StartsWith("$experiment_", StringComparison.Ordinal) == true;
}
