using System.Text.Json;

namespace Experiments.Api.Warehouse;

/// <summary>
/// How a kind of warehouse says what queries need. Names are quoted, and what users give as values are parameters, so that neither can be
/// anything else.
/// </summary>
internal abstract class WarehouseDialect
{
    /// <summary>A column as text.</summary>
    public abstract string Text(string column);

    /// <summary>That a column is of instants; fails if it is not, where the warehouse would compare it all the same.</summary>
    public virtual string IsOfInstants(string column) => "true";

    /// <summary>An instant as milliseconds since 1970.</summary>
    public abstract string Milliseconds(string column);

    /// <summary>A column of JSON, or of text that is JSON, as JSON.</summary>
    public abstract string Json(string column);

    /// <summary>Columns as a JSON object with their names.</summary>
    public abstract string JsonObject(IReadOnlyList<string> columns);

    /// <summary>The instant of a parameter in milliseconds since 1970.</summary>
    public abstract string Instant(string parameter);

    /// <summary>A parameter.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="kind">What it is.</param>
    public abstract string Parameter(string name, ParameterKind kind);

    /// <summary>Whether a text is among those of a parameter.</summary>
    public abstract string IsAmong(string text, string parameter);

    /// <summary>The first byte of the SHA-256 of a text, times a number, divided by 256 and rounded down; 0 of no text.</summary>
    public abstract string Slice(string text, string slices);

    /// <summary>What stands before a subquery that a value is looked for in.</summary>
    public virtual string In => "IN";

    /// <summary>An identifier between quotation marks, in which nothing ends it but the last.</summary>
    public abstract string Quote(string name);

    /// <summary>The name of a table, with that of its schema if it has one.</summary>
    public string Table(string name) => string.Join('.', name.Split('.').Select(Quote));

    // In ClickHouse, a backslash begins an escape.
    private static string Literal(string text, bool escapesBackslash)
    {
        var plain = escapesBackslash ? text.Replace("\\", "\\\\", StringComparison.Ordinal) : text;
        return $"'{plain.Replace("'", "''", StringComparison.Ordinal)}'";
    }

    /// <summary>PostgreSQL.</summary>
    internal sealed class PostgreSql : WarehouseDialect
    {
        public override string Text(string column) => $"CAST({column} AS text)";

        public override string Milliseconds(string column) => $"CAST(floor(extract(epoch FROM {column}) * 1000) AS bigint)";

        public override string Json(string column) => $"CAST(to_json({column}) AS text)";

        public override string JsonObject(IReadOnlyList<string> columns) =>
            "CAST(json_build_object(" + string.Join(", ", columns.Select(name => $"{Literal(name, false)}, {Quote(name)}")) + ") AS text)";

        public override string Instant(string parameter) => $"to_timestamp({parameter} / 1000.0)";

        public override string Parameter(string name, ParameterKind kind) => $"@{name}";

        public override string IsAmong(string text, string parameter) => $"{text} = ANY ({parameter})";

        public override string Slice(string text, string slices) =>
            $"COALESCE(get_byte(sha256(convert_to({text}, 'UTF8')), 0), 0) * {slices} / 256";

        public override string Quote(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    /// <summary>ClickHouse.</summary>
    internal sealed class ClickHouse : WarehouseDialect
    {
        // For distributed tables; for others it is the same.
        public override string In => "GLOBAL IN";

        // As the driver reads it, so that what is told apart there is told apart here.
        public override string Text(string column) => $"toValidUTF8(toString({column}))";

        // Numbers are compared as seconds, so that milliseconds would never match. This takes no numbers.
        public override string IsOfInstants(string column) => $"toYYYYMM({column}) >= 0";

        public override string Milliseconds(string column) => $"toUnixTimestamp64Milli(toDateTime64({column}, 3, 'UTC'))";

        public override string Json(string column) => $"toJSONString({column})";

        public override string JsonObject(IReadOnlyList<string> columns) =>
            "concat('{', "
            + string.Join(
                ", ',', ",
                columns.Select(name =>
                    $"{Literal($"{JsonSerializer.Serialize(name)}:", true)}, ifNull(toJSONString({Quote(name)}), 'null')"
                )
            )
            + ", '}')";

        public override string Instant(string parameter) => $"fromUnixTimestamp64Milli({parameter}, 'UTC')";

        public override string Parameter(string name, ParameterKind kind) =>
            $"{{{name}:{kind switch { ParameterKind.Text => "String", ParameterKind.Texts => "Array(String)", _ => "Int64" }}}}";

        public override string IsAmong(string text, string parameter) => $"has({parameter}, {text})";

        public override string Slice(string text, string slices) =>
            $"intDiv(ifNull(reinterpretAsUInt8(substring(SHA256({text}), 1, 1)), 0) * {slices}, 256)";

        public override string Quote(string name) =>
            $"`{name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("`", "\\`", StringComparison.Ordinal)}`";
    }
}

/// <summary>What a parameter of a query is.</summary>
internal enum ParameterKind
{
    Number,
    Text,
    Texts,
}
