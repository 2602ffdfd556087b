namespace Experiments.Api.Ingestion;

/// <summary>The names of events that belong to the service. All others are the application's own, also those that start with '$'.</summary>
internal static class EventNames
{
    public const string Reserved = "Names that start with '$flag_' or '$experiment_' are reserved.";

    public static bool IsReserved(string? name) =>
        name?.StartsWith("$flag_", StringComparison.Ordinal) == true || name?.StartsWith("$experiment_", StringComparison.Ordinal) == true;
}
