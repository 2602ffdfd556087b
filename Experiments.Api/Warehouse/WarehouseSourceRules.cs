using Experiments.Api.Platform.Http;

namespace Experiments.Api.Warehouse;

/// <summary>What holds for the source of an experiment. Names of tables and columns are quoted, so that they may be any.</summary>
internal static class WarehouseSourceRules
{
    private const int LongestName = 255;
    private const int MostTraits = 20;
    private const int MostProperties = 50;

    /// <summary>Reports what is wrong with a source, by its fields below <paramref name="at"/>.</summary>
    public static void Check(string at, WarehouseSource source, Action<string, string> wrong)
    {
        if (source.Assignments is not { } assignments)
        {
            wrong($"{at}.assignments", "This is required: the table that says who was assigned to which variant.");
        }
        else
        {
            Table($"{at}.assignments.table", assignments.Table);
            Column($"{at}.assignments.unit", assignments.Unit);
            Column($"{at}.assignments.variant", assignments.Variant);
            Column($"{at}.assignments.at", assignments.At);
            Optional($"{at}.assignments.experiment", assignments.Experiment);
            Columns($"{at}.assignments.traits", assignments.Traits, MostTraits);
            if (
                assignments.ExperimentKey is { } key
                && (assignments.Experiment is null || string.IsNullOrEmpty(key) || !Rules.Fits(key, LongestName) || key.Contains('\0'))
            )
            {
                wrong(
                    $"{at}.assignments.experiment_key",
                    "This is what the column 'experiment', which is needed as well, has for this experiment: 1 to 255 characters."
                );
            }
        }

        if (source.Events is not { } events)
        {
            wrong($"{at}.events", "This is required: the table of events.");
            return;
        }

        Table($"{at}.events.table", events.Table);
        Column($"{at}.events.unit", events.Unit);
        Column($"{at}.events.event", events.Event);
        Column($"{at}.events.at", events.At);
        Optional($"{at}.events.value", events.Value);
        Optional($"{at}.events.metadata", events.Metadata);
        Columns($"{at}.events.properties", events.Properties, MostProperties);
        if (events is { Metadata: not null, Properties: not null })
        {
            wrong($"{at}.events.properties", "The metadata of an event is either one column ('metadata') or several ('properties').");
        }

        void Table(string field, string? name)
        {
            if (!IsName(name) || name!.Split('.') is not ({ Length: 1 or 2 } and var parts) || parts.Any(string.IsNullOrWhiteSpace))
            {
                wrong(field, "This must be the name of a table, with its schema or database before a dot if it needs one.");
            }
        }

        void Column(string field, string? name)
        {
            if (!IsName(name))
            {
                wrong(field, "This must be the name of a column: 1 to 255 characters.");
            }
        }

        void Optional(string field, string? name)
        {
            if (name is not null)
            {
                Column(field, name);
            }
        }

        void Columns(string field, IReadOnlyList<string?>? names, int most)
        {
            if (names is null)
            {
                return;
            }

            if (names.Count > most || names.Distinct().Count() != names.Count)
            {
                wrong(field, $"These are the names of {most} columns at most, each once.");
            }

            foreach (var (index, name) in names.Take(most).Index())
            {
                Column($"{field}[{index}]", name);
            }
        }
    }

    private static bool IsName(string? name) =>
        !string.IsNullOrWhiteSpace(name) && Rules.Fits(name, LongestName) && !name.Any(char.IsControl);
}
