using System.Collections.Concurrent;
using System.Data;
using System.Data.Common;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Dapper;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Api.Platform.Data;

/// <summary>
/// Makes Dapper send <c>@Name</c> as <c>$1</c>. Otherwise, Npgsql would parse the text of each statement on every call, which costs as
/// much as reading a row. The translated text and the parameter readers are cached.
/// </summary>
internal sealed partial class PositionalSql : SqlMapper.IDynamicParameters
{
    private const BindingFlags Visible = BindingFlags.Instance | BindingFlags.Public;

    // By the object and not by its text: statements are constants, and to hash one takes longer than to map a row.
    private static readonly ConditionalWeakTable<string, ConcurrentDictionary<Type, Statement>> Known = [];

    private readonly Statement _statement;
    private readonly object? _values;
    private readonly bool _isNamed;

    private PositionalSql(Statement statement, object? values, bool isNamed) =>
        (_statement, _values, _isNamed) = (statement, values, isNamed);

    /// <summary>One statement, with the values that the properties of <paramref name="parameters"/> have.</summary>
    public static CommandDefinition Command(string sql, object? parameters)
    {
        var statement = Parsed(sql, parameters);
        return new(statement.Sql, new PositionalSql(statement, parameters, isNamed: false));
    }

    /// <summary>Reads at most one row.</summary>
    public static async Task<T?> Row<T>(NpgsqlConnection connection, string sql, object? parameters)
        where T : class => (await Rows<T>(connection, sql, parameters)) is [var first, ..] ? first : null;

    /// <summary>
    /// Reads rows. The same as Dapper does it, but without hashing the text of the statement to find out how its rows are mapped, which
    /// takes longer than mapping one.
    /// </summary>
    public static async Task<IReadOnlyList<T>> Rows<T>(NpgsqlConnection connection, string sql, object? parameters)
    {
        var statement = Parsed(sql, parameters);
        await using var command = new NpgsqlCommand(statement.Sql, connection);
        foreach (var parameter in statement.Parameters)
        {
            command.Parameters.Add(parameter(parameters!));
        }

        await using var row = await command.ExecuteReaderAsync(CommandBehavior.SingleResult);
        var parse = statement.Parser(typeof(T), row);
        var rows = new List<T>(1);
        while (await row.ReadAsync())
        {
            rows.Add((T)parse(row));
        }

        // What fails after the last row has failed as well.
        await row.NextResultAsync();
        return rows;
    }

    /// <summary>Several statements. Their parameters keep their names, since positions would count anew in each statement.</summary>
    public static CommandDefinition Batch(string sql, object? parameters) =>
        new(sql, new PositionalSql(Parsed(sql, parameters), parameters, isNamed: true));

    public void AddParameters(IDbCommand command, SqlMapper.Identity identity)
    {
        for (var index = 0; index < _statement.Names.Count; index++)
        {
            var parameter = _statement.Parameters[index](_values!);
            if (_isNamed)
            {
                parameter.ParameterName = _statement.Names[index];
            }

            command.Parameters.Add(parameter);
        }
    }

    /// <summary>The text with its parameters numbered, each with its name.</summary>
    public static (string Sql, IReadOnlyList<string> Names) Number(string sql)
    {
        var names = new List<string>();
        var text = ParameterOrText()
            .Replace(
                sql,
                match =>
                {
                    if (!match.Groups["name"].Success)
                    {
                        return match.Value;
                    }

                    var index = names.FindIndex(name => name.Equals(match.Groups["name"].Value, StringComparison.OrdinalIgnoreCase));
                    if (index < 0)
                    {
                        index = names.Count;
                        names.Add(match.Groups["name"].Value);
                    }

                    return $"${index + 1}";
                }
            );
        return (text, names);
    }

    private static Statement Parsed(string sql, object? parameters)
    {
        var type = parameters?.GetType() ?? typeof(void);
        var known = Known.GetValue(sql, static _ => new());
        return known.TryGetValue(type, out var statement) ? statement : known.GetOrAdd(type, Parse(sql, parameters is null ? null : type));
    }

    private static Statement Parse(string sql, Type? type)
    {
        var (text, names) = Number(sql);
        return new(
            text,
            names,
            [
                .. names.Select(name =>
                    (type is null ? null : Find(type, name))
                    ?? throw new ArgumentException($"The statement asks for @{name}, which it is not given: {sql}")
                ),
            ]
        );
    }

    // A property of this name, of the parameters themselves or of a group among them.
    private static Func<object, NpgsqlParameter>? Find(Type type, string name)
    {
        if (type.GetProperty(name, Visible | BindingFlags.IgnoreCase) is { } property)
        {
            return Reader(property);
        }

        foreach (var group in type.GetProperties(Visible).Where(one => one.PropertyType.IsAssignableTo(typeof(IParameterGroup))))
        {
            if (Find(group.PropertyType, name) is { } read)
            {
                var get = (Func<object, object>)Method(nameof(GetterOf), group).Invoke(null, [group])!;
                return values => read(get(values));
            }
        }

        return null;
    }

    private static Func<object, NpgsqlParameter> Reader(PropertyInfo property) =>
        (Func<object, NpgsqlParameter>)Method(nameof(ReaderOf), property).Invoke(null, [property])!;

    private static MethodInfo Method(string name, PropertyInfo property) =>
        typeof(PositionalSql)
            .GetMethod(name, BindingFlags.NonPublic | BindingFlags.Static)!
            .MakeGenericMethod(property.DeclaringType!, property.PropertyType);

    private static Func<object, object> GetterOf<TObject, TValue>(PropertyInfo property)
        where TObject : class
    {
        var get = property.GetMethod!.CreateDelegate<Func<TObject, TValue>>();
        return values => get((TObject)values)!;
    }

    private static Func<object, NpgsqlParameter> ReaderOf<TObject, TValue>(PropertyInfo property)
        where TObject : class
    {
        var get = property.GetMethod!.CreateDelegate<Func<TObject, TValue>>();
        var type = TypeOf(typeof(TValue));
        if ((Nullable.GetUnderlyingType(typeof(TValue)) ?? typeof(TValue)).IsEnum)
        {
            throw new ArgumentException($"{property.Name} is an enum. Give its word.");
        }

        return values =>
            get((TObject)values) switch
            {
                null => type is { } known ? new() { NpgsqlDbType = known, Value = DBNull.Value } : new() { Value = DBNull.Value },
                Column column => column.Parameter(),
                var value when type is { } known => new NpgsqlParameter<TValue> { NpgsqlDbType = known, TypedValue = value },
                var value => new() { Value = value },
            };
    }

    // The parameter type is sent even if the value is null.
    private static NpgsqlDbType? TypeOf(Type type) =>
        (Nullable.GetUnderlyingType(type) ?? type) switch
        {
            var t when t == typeof(string) => NpgsqlDbType.Text,
            var t when t == typeof(long) => NpgsqlDbType.Bigint,
            var t when t == typeof(int) => NpgsqlDbType.Integer,
            var t when t == typeof(short) => NpgsqlDbType.Smallint,
            var t when t == typeof(bool) => NpgsqlDbType.Boolean,
            var t when t == typeof(decimal) => NpgsqlDbType.Numeric,
            var t when t == typeof(double) => NpgsqlDbType.Double,
            var t when t == typeof(DateTime) => NpgsqlDbType.TimestampTz,
            var t when t == typeof(TimeSpan) => NpgsqlDbType.Interval,
            var t when t == typeof(Guid) => NpgsqlDbType.Uuid,
            var t when t == typeof(byte[]) => NpgsqlDbType.Bytea,
            { IsArray: true } t when TypeOf(t.GetElementType()!) is { } element => NpgsqlDbType.Array | element,
            _ => null,
        };

    // String literals and comments contain no parameters.
    [GeneratedRegex(@"'[^']*'|--[^\n]*|@(?<name>[A-Za-z_]\w*)")]
    private static partial Regex ParameterOrText();

    /// <summary>A statement with numbered parameters: the name of each, and how to read it.</summary>
    private sealed record Statement(string Sql, IReadOnlyList<string> Names, Func<object, NpgsqlParameter>[] Parameters)
    {
        private volatile Mapping? _mapping;

        /// <summary>How a row becomes an object. A statement has the same columns each time, and nearly always the same type.</summary>
        public Func<DbDataReader, object> Parser(Type type, DbDataReader row) =>
            _mapping is { } known && known.Type == type ? known.Parse : (_mapping = new(type, row.GetRowParser(type))).Parse;
    }

    private sealed record Mapping(Type Type, Func<DbDataReader, object> Parse);
}
