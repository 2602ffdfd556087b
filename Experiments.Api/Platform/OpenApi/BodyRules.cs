using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Experiments.Api.Platform.Http;
using FluentValidation;
using Microsoft.OpenApi;

namespace Experiments.Api.Platform.OpenApi;

/// <summary>What the validators of slices say of the members of bodies and of the parameters of queries.</summary>
internal sealed class BodyRules(IServiceProvider services)
{
    private readonly Dictionary<Type, IReadOnlyDictionary<string, Constraints>> _bySlice = [];

    /// <summary>The constraints on a member of a body; null if there are none.</summary>
    public Constraints? Of(Type body, string member)
    {
        var declared = Constraints.Declared(body, member);
        var ruled = body is { IsNested: true, Name: "Body" } ? OfSlice(body.DeclaringType!).GetValueOrDefault(member) : null;
        return declared is null ? ruled : ruled?.With(declared) ?? declared;
    }

    /// <summary>The constraints on a parameter of the query; null if there are none.</summary>
    public Constraints? OfQuery(Type? slice, string parameter) => slice is null ? null : OfSlice(slice).GetValueOrDefault(parameter);

    private IReadOnlyDictionary<string, Constraints> OfSlice(Type slice)
    {
        if (_bySlice.TryGetValue(slice, out var known))
        {
            return known;
        }

        var found = new Dictionary<string, Constraints>();
        var type = slice.GetNestedType("Validator", BindingFlags.NonPublic | BindingFlags.Public);
        if (type is not null && ActivatorUtilities.CreateInstance(services, type) is IValidator validator)
        {
            foreach (var rule in validator.CreateDescriptor().Rules.Where(rule => rule.PropertyName is not null))
            {
                var name = Member(rule.PropertyName);
                if (!found.TryGetValue(name, out var constraints))
                {
                    found[name] = constraints = new Constraints();
                }

                foreach (var component in rule.Components)
                {
                    // Of RuleForEach, which speaks of the items.
                    var of = rule.GetType().Name.StartsWith("Collection", StringComparison.Ordinal) ? constraints.OfItems() : constraints;
                    of.Add(component.Validator, isConditional: rule.HasCondition || component.HasCondition);
                }
            }
        }

        return _bySlice[slice] = found;
    }

    // "Body.RolloutPercentage.Value" is rollout_percentage.
    private static string Member(string path) =>
        string.Join(
            '.',
            path.Split('.').Where(part => part is not ("Body" or "Value")).Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)
        );
}

/// <summary>Writes what is demanded of a value into its schema.</summary>
internal static class ConstraintSchemas
{
    /// <summary>Writes it into a schema that stands on its own; what a component demands, it says itself.</summary>
    public static void Apply(this Constraints constraints, IOpenApiSchema schema)
    {
        if (schema is not OpenApiSchema inline)
        {
            return;
        }

        inline.MinLength = constraints.MinLength ?? inline.MinLength;
        inline.MaxLength = constraints.MaxLength ?? inline.MaxLength;
        inline.Minimum = constraints.Minimum ?? inline.Minimum;
        inline.Maximum = constraints.Maximum ?? inline.Maximum;
        inline.ExclusiveMinimum = constraints.ExclusiveMinimum ?? inline.ExclusiveMinimum;
        inline.ExclusiveMaximum = constraints.ExclusiveMaximum ?? inline.ExclusiveMaximum;
        inline.MinItems = constraints.MinItems ?? inline.MinItems;
        inline.MaxItems = constraints.MaxItems ?? inline.MaxItems;
        inline.Default = constraints.Default is { } otherwise ? JsonSerializer.SerializeToNode(otherwise) : inline.Default;
        if (constraints.Items is not null && inline.Items is not null)
        {
            constraints.Items.Apply(inline.Items);
        }

        if (constraints.Words is not null)
        {
            (inline.Items as OpenApiSchema ?? inline).Enum = [.. constraints.Words.Select(word => (JsonNode)word)];
        }
    }
}
