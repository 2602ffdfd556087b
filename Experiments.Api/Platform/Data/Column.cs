using System.Data;
using Dapper;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Api.Platform.Data;

/// <summary>A list of values as a parameter of their own type, for statements that take rows by the column.</summary>
internal sealed class Column<T>(IEnumerable<T> values) : SqlMapper.ICustomQueryParameter
{
    public void AddParameter(IDbCommand command, string name)
    {
        // Left to itself, Npgsql takes a list of instants for instants without a time zone.
        var parameter = new NpgsqlParameter<T[]>(name, [.. values]);
        if (typeof(T) == typeof(DateTime) || typeof(T) == typeof(DateTime?))
        {
            parameter.NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz;
        }

        command.Parameters.Add(parameter);
    }
}
