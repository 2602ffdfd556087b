using System.Data;
using Dapper;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Api.Platform.Data;

/// <summary>A value that makes its own parameter.</summary>
internal abstract class Column : SqlMapper.ICustomQueryParameter
{
    public abstract NpgsqlParameter Parameter();

    public void AddParameter(IDbCommand command, string name)
    {
        var parameter = Parameter();
        parameter.ParameterName = name;
        command.Parameters.Add(parameter);
    }
}

/// <summary>A list of values as a parameter of their own type, for statements that take rows by the column.</summary>
internal sealed class Column<T>(IEnumerable<T> values) : Column
{
    public override NpgsqlParameter Parameter()
    {
        // Left to itself, Npgsql takes a list of instants for instants without a time zone.
        var parameter = new NpgsqlParameter<T[]> { TypedValue = [.. values] };
        if (typeof(T) == typeof(DateTime) || typeof(T) == typeof(DateTime?))
        {
            parameter.NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz;
        }

        return parameter;
    }
}
