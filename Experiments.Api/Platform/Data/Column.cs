using System.Data;
using Dapper;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Api.Platform.Data;

/// <summary>A value that creates its own parameter.</summary>
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

/// <summary>A typed array parameter, for statements that take rows column by column.</summary>
internal sealed class Column<T>(IEnumerable<T> values) : Column
{
    public override NpgsqlParameter Parameter()
    {
        // By default, Npgsql maps a list of instants to timestamps without a time zone.
        var parameter = new NpgsqlParameter<T[]> { TypedValue = [.. values] };
        if (typeof(T) == typeof(DateTime) || typeof(T) == typeof(DateTime?))
        {
            parameter.NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz;
        }

        return parameter;
    }
}
