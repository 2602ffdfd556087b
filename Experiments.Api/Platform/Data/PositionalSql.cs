using System.Collections.Concurrent;
using System.Data;
using System.Reflection;
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
    private static readonly ConcurrentDictionary<(string Sql, Type? Parameters), PositionalSql> Known = new();

    private readonly string _sql;
    private readonly Func<object, NpgsqlParameter>[] _parameters;
    private object? _values;

    private PositionalSql(string sql, Func<object, NpgsqlParameter>[] parameters) => (_sql, _parameters) = (sql, parameters);

    /// <summary>One statement, with the values that the properties of <paramref name="parameters"/> have.</summary>
    public static CommandDefinition Command(string sql, object? parameters)
    {
        var known = Known.GetOrAdd((sql, parameters?.GetType()), static key => Parse(key.Sql, key.Parameters));
        return new(known._sql, new PositionalSql(known._sql, known._parameters) { _values = parameters });
    }

    public void AddParameters(IDbCommand command, SqlMapper.Identity identity)
    {
        foreach (var parameter in _parameters)
        {
            command.Parameters.Add(parameter(_values!));
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

    private static PositionalSql Parse(string sql, Type? type)
    {
        var (text, names) = Number(sql);
        return new(
            text,
            [
                .. names.Select(name =>
                    type?.GetProperty(name, BindingFlags.Instance | BindingFlags.Public | BindingFlags.IgnoreCase) is { } property
                        ? Reader(property)
                        : throw new ArgumentException($"The statement asks for @{name}, which it is not given: {sql}")
                ),
            ]
        );
    }

    private static Func<object, NpgsqlParameter> Reader(PropertyInfo property) =>
        (Func<object, NpgsqlParameter>)
            typeof(PositionalSql)
                .GetMethod(nameof(ReaderOf), BindingFlags.NonPublic | BindingFlags.Static)!
                .MakeGenericMethod(property.DeclaringType!, property.PropertyType)
                .Invoke(null, [property])!;

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
}
