using System.Text.Json;
using Experiments.Api.Aggregation;
using Experiments.Api.Domain;
using Experiments.Api.Ingestion;
using Experiments.Api.MetricDefinitions;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Experiments;

/// <summary>What holds for the settings of an experiment, however they are written.</summary>
internal static class ExperimentRules
{
    /// <summary>Reports what is wrong with what counts as an exposure.</summary>
    public static void CheckExposure(ExposureCriteria? exposure, Action<string, string> wrong)
    {
        if (exposure is null)
        {
            return;
        }

        if (
            exposure.Event is { } name
            && (string.IsNullOrWhiteSpace(name) || !Rules.Fits(name, EventSizeLimits.Event) || EventNames.IsReserved(name))
        )
        {
            wrong("exposure.event", "This must be the name of an event of yours: 256 characters at most, and not one of the service's.");
        }

        if (
            exposure.FeatureProperty is { } property
            && (exposure.Event is null || string.IsNullOrWhiteSpace(property) || !Rules.Fits(property, 200))
        )
        {
            wrong(
                "exposure.feature_property",
                "This must be the name of a member of the metadata of 'exposure.event', which is needed as well."
            );
        }

        if (exposure.TestIdentities is { } tests)
        {
            CheckTestIdentities(tests, wrong);
        }

        if (exposure.Filters is { } filters)
        {
            if (exposure.Event is null || filters.Count is 0 or > FilterRules.Most)
            {
                wrong("exposure.filters", $"These are 1 to {FilterRules.Most} conditions on 'exposure.event', which is needed as well.");
            }
            else
            {
                FilterRules.Check("exposure.", filters, wrong);
            }
        }

        if (exposure.MultipleVariants is not (null or ExposureCriteria.Exclude or ExposureCriteria.FirstSeen))
        {
            wrong("exposure.multiple_variants", $"This must be one of: {ExposureCriteria.Exclude}, {ExposureCriteria.FirstSeen}.");
        }
    }

    /// <summary>The ways in which an experiment can assign identities.</summary>
    public static readonly string[] Hashings = ["native", FlagsmithHashing.Name];

    /// <summary>Reports what does not go together with Flagsmith's way to assign, which knows nothing else than the identifier.</summary>
    public static void CheckHashing(string? hashing, long? holdout, UnitBody? unit, Action<string, string> wrong)
    {
        if (hashing == FlagsmithHashing.Name && (holdout is not null || unit is not null))
        {
            wrong("hashing", "Flagsmith's SDKs know neither holdouts nor units. Leave out 'holdout' and 'unit', or use 'native'.");
        }
    }

    private static void CheckTestIdentities(TestIdentities tests, Action<string, string> wrong)
    {
        if (tests.Rules is null || tests.Trait is not null || tests.Values is not null)
        {
            if (string.IsNullOrWhiteSpace(tests.Trait) || !Rules.Fits(tests.Trait, 200))
            {
                wrong("exposure.test_identities.trait", "This is required: the name of a trait. Or give 'rules'.");
            }

            if (
                tests.Values is not { Count: >= 1 and <= TestIdentities.Most }
                || tests.Values.Any(value => value.ValueKind is JsonValueKind.Object or JsonValueKind.Array or JsonValueKind.Null)
            )
            {
                wrong("exposure.test_identities.values", $"This is required: 1 to {TestIdentities.Most} strings, numbers or booleans.");
            }
        }

        if (tests.Rules is { Count: 0 or > TestIdentities.Most })
        {
            wrong("exposure.test_identities.rules", $"These are 1 to {TestIdentities.Most} conditions on traits.");
            return;
        }

        foreach (var (index, rule) in (tests.Rules ?? []).Index())
        {
            if (string.IsNullOrWhiteSpace(rule?.Trait) || !Rules.Fits(rule.Trait, 200))
            {
                wrong($"exposure.test_identities.rules[{index}].trait", "This is required: the name of a trait.");
            }

            if (rule is null || rule.Error is not null)
            {
                wrong($"exposure.test_identities.rules[{index}].operator", rule?.Error ?? "This may not be null.");
            }
        }
    }

    private const int MostBreakdowns = 3;

    /// <summary>Why an experiment cannot have the holdout that it would have, by the field that asks for it.</summary>
    public static ProblemResult NoHoldout(string field) =>
        ProblemResult.Field(
            field,
            "This environment has no holdout with this id and the unit of the experiment, or it is retired, or its hashing allows none."
        );

    /// <summary>Reports what is wrong with the traits by which results are to be broken down.</summary>
    public static void CheckBreakdowns(IReadOnlyList<string?>? breakdowns, Action<string, string> wrong)
    {
        if (breakdowns is null)
        {
            return;
        }

        if (breakdowns.Count > MostBreakdowns || breakdowns.Distinct().Count() != breakdowns.Count)
        {
            wrong("breakdowns", $"These are the names of {MostBreakdowns} traits at most, each once.");
        }

        foreach (var (index, trait) in breakdowns.Take(MostBreakdowns).Index())
        {
            if (string.IsNullOrWhiteSpace(trait) || !Rules.Fits(trait, 200))
            {
                wrong($"breakdowns[{index}]", "This must be the name of a trait: 1 to 200 characters.");
            }
        }
    }

    public static string[]? Stored(IReadOnlyList<string?>? breakdowns) => breakdowns is null ? null : [.. breakdowns.Select(name => name!)];

    /// <summary>The criteria as they are stored; none stay none.</summary>
    public static string? Stored(ExposureCriteria? exposure) => exposure is null ? null : JsonSerializer.Serialize(exposure, Sparse);

    /// <summary>Leaves out what is null.</summary>
    public static readonly JsonSerializerOptions Sparse = new(ApiJson.Options)
    {
        DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull,
    };
}
