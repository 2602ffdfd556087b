using System.Text.Json.Nodes;

namespace Experiments.Tests.Architecture;

/// <summary>
/// What would break clients of one document that speak to a service of another: less is taken, less is answered, or under another name.
/// </summary>
internal sealed class ContractBreaks
{
    private readonly JsonNode _before;
    private readonly JsonNode _now;
    private readonly SortedSet<string> _found = new(StringComparer.Ordinal);
    private readonly HashSet<(string, string, bool)> _compared = [];

    private ContractBreaks(JsonNode before, JsonNode now) => (_before, _now) = (before, now);

    public static IReadOnlyCollection<string> Between(JsonNode before, JsonNode now)
    {
        var breaks = new ContractBreaks(before, now);
        foreach (var (path, operations) in before["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                breaks.Operation($"{method.ToUpperInvariant()} {path}", operation!, now["paths"]![path]?[method]);
            }
        }

        foreach (var (name, _) in before["components"]!["schemas"]!.AsObject())
        {
            if (now["components"]!["schemas"]![name] is null)
            {
                breaks._found.Add($"the schema {name} is gone");
            }
        }

        return breaks._found;
    }

    private void Operation(string name, JsonNode before, JsonNode? now)
    {
        if (now is null)
        {
            _found.Add($"{name} is gone");
            return;
        }

        Demand(Text(before["operationId"]) == Text(now["operationId"]), $"{name} has another operationId");
        var parameters = Parameters(_now, now);
        foreach (var (key, parameter) in Parameters(_before, before))
        {
            if (parameters.GetValueOrDefault(key) is { } known)
            {
                Schema($"{name} {key}", parameter["schema"]!, known["schema"]!, isTaken: true);
            }
            else
            {
                _found.Add($"{name} no longer takes {key}");
            }
        }

        foreach (var (key, parameter) in parameters.Where(one => one.Value["required"]?.GetValue<bool>() == true))
        {
            Demand(Parameters(_before, before).ContainsKey(key), $"{name} needs {key}");
        }

        if (Body(before) is { } body)
        {
            Demand(Body(now) is not null, $"{name} no longer takes a body");
            Schema($"{name} body", body, Body(now) ?? body, isTaken: true);
        }
        else
        {
            Demand(now["requestBody"]?["required"]?.GetValue<bool>() != true, $"{name} needs a body");
        }

        foreach (var (status, answer) in before["responses"]!.AsObject().Where(answer => answer.Key.StartsWith('2')))
        {
            foreach (var (type, content) in answer!["content"] as JsonObject ?? [])
            {
                if (now["responses"]![status]?["content"]?[type] is { } answered)
                {
                    Schema($"{name} {status}", content!["schema"]!, answered["schema"]!, isTaken: false);
                }
                else
                {
                    _found.Add($"{name} no longer answers {status} {type}");
                }
            }
        }
    }

    private void Schema(string where, JsonNode before, JsonNode now, bool isTaken)
    {
        if (before["$ref"] is { } old && now["$ref"] is { } current && !_compared.Add((Text(old)!, Text(current)!, isTaken)))
        {
            return;
        }

        (before, now) = (Resolved(_before, before), Resolved(_now, now));
        // Whoever reads may be surprised by more types, whoever writes by fewer.
        var (wide, narrow) = isTaken ? (Types(now), Types(before)) : (Types(before), Types(now));
        Demand(wide.Count == 0 || (narrow.Count > 0 && narrow.IsSubsetOf(wide)), $"{where} has another type");
        Words(where, before, now, isTaken);
        Bounds(where, before, now, isTaken);
        foreach (var (name, member) in before["properties"] as JsonObject ?? [])
        {
            if (now["properties"]?[name] is { } known)
            {
                Schema($"{where}.{name}", member!, known, isTaken);
            }
            else
            {
                Demand(isTaken && now["additionalProperties"]?.ToString() != "false", $"{where}.{name} is gone");
            }
        }

        var (must, musts) = (Required(before), Required(now));
        foreach (var name in isTaken ? musts.Except(must) : must.Except(musts))
        {
            _found.Add(isTaken ? $"{where}.{name} is required" : $"{where}.{name} may be missing");
        }

        if (before["items"] is { } items && now["items"] is { } others)
        {
            Schema($"{where}[]", items, others, isTaken);
        }

        if (Held(before) is { } one && Held(now) is { } other)
        {
            Schema(where, one, other, isTaken);
        }
    }

    private void Words(string where, JsonNode before, JsonNode now, bool isTaken)
    {
        if (isTaken && now["enum"] is JsonArray words)
        {
            var known = words.Select(Text).ToHashSet();
            Demand(before["enum"] is JsonArray former && former.All(word => known.Contains(Text(word))), $"{where} takes fewer words");
        }
        else if (!isTaken && before["enum"] is JsonArray)
        {
            Demand(now["enum"] is JsonArray, $"{where} is any text");
        }
    }

    private void Bounds(string where, JsonNode before, JsonNode now, bool isTaken)
    {
        foreach (var bound in new[] { "minimum", "maximum", "minLength", "maxLength", "exclusiveMinimum", "exclusiveMaximum" })
        {
            Demand(!isTaken || now[bound] is null || Text(before[bound]) == Text(now[bound]), $"{where} has another {bound}");
        }
    }

    // A type that may be null is one of null and that type.
    private static JsonNode? Held(JsonNode schema) =>
        (schema["oneOf"] as JsonArray)?.FirstOrDefault(one => one!["$ref"] is not null) ?? schema["additionalProperties"] as JsonObject;

    private static HashSet<string> Types(JsonNode schema) =>
        schema["oneOf"] is JsonArray choices ? [.. choices.Select(one => Text(one!["type"]) ?? "object")]
        : schema["type"] is JsonArray types ? [.. types.Select(type => Text(type)!)]
        : Text(schema["type"]) is { } type ? [type]
        : [];

    private static HashSet<string> Required(JsonNode schema) => [.. (schema["required"] as JsonArray ?? []).Select(name => Text(name)!)];

    private static JsonNode Resolved(JsonNode document, JsonNode node) =>
        Text(node["$ref"])?.Split('/') is [_, _, var kind, var name] ? document["components"]![kind]![name]! : node;

    private static JsonNode? Body(JsonNode operation) => operation["requestBody"]?["content"]?["application/json"]?["schema"];

    private static Dictionary<string, JsonNode> Parameters(JsonNode document, JsonNode operation) =>
        (operation["parameters"] as JsonArray ?? [])
            .Select(parameter => Resolved(document, parameter!))
            .ToDictionary(parameter => $"{Text(parameter["in"])} {Text(parameter["name"])}");

    private static string? Text(JsonNode? node) => node?.ToString();

    private void Demand(bool holds, string otherwise)
    {
        if (!holds)
        {
            _found.Add(otherwise);
        }
    }
}
