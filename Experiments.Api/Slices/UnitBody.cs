using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices;

/// <summary>
/// What is assigned and analysed, where that is not the identity: whatever shares the value of this key, such as a company or a device.
/// </summary>
/// <param name="Key">The name under which a context, traits or groups have the value.</param>
internal sealed record UnitBody([property: Must(Required = true, MaxLength = 200)] string? Key = null)
{
    /// <summary>Selects that of an experiment <c>e</c>.</summary>
    public const string OfExperiment = "CASE WHEN e.unit_key <> '' THEN json_build_object('key', e.unit_key)::text ELSE 'null' END";

    /// <summary>Selects that of a holdout <c>h</c>.</summary>
    public const string OfHoldout = "CASE WHEN h.unit_key <> '' THEN json_build_object('key', h.unit_key)::text ELSE 'null' END";

    public static void Check(UnitBody? unit, Action<string, string> wrong)
    {
        if (unit is not null && (string.IsNullOrWhiteSpace(unit.Key) || unit.Key.EnumerateRunes().Count() > 200))
        {
            wrong("unit.key", "This is required: the name of a key, of 1 to 200 characters.");
        }
    }

    /// <summary>As it is stored: an empty text for identities.</summary>
    public static string Stored(UnitBody? unit) => unit?.Key?.Trim() ?? "";
}
