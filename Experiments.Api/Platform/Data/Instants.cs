using System.Data;
using Dapper;
using Npgsql;
using NpgsqlTypes;

namespace Experiments.Api.Platform.Data;

/// <summary>A list of instants, some of them null, as a parameter. Left to itself, Npgsql takes such a list for instants without a time zone.</summary>
internal sealed class Instants(IEnumerable<DateTime?> values) : SqlMapper.ICustomQueryParameter
{
    public void AddParameter(IDbCommand command, string name) =>
        command.Parameters.Add(new NpgsqlParameter<DateTime?[]>(name, [.. values]) { NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz });
}
