using System.Data.Common;
using System.Globalization;

namespace Experiments.Api.ClickHouse;

/// <summary>
/// Where a shard is. A connection string has replicas between commas, and shards between bars: <c>Host=one-a,one-b:8124|two-a,two-b</c>.
/// Several shards may be on one server, each in a database of its own: <c>Host=one/events_1|one/events_2</c>.
/// </summary>
/// <param name="Number">Which shard it is, from 1.</param>
/// <param name="Count">How many shards there are.</param>
/// <param name="Database">The database of those that name none of their own.</param>
/// <param name="Replicas">Each replica by its name and its own connection string.</param>
internal sealed record ShardAddress(int Number, int Count, string Database, IReadOnlyList<(string Name, string ConnectionString)> Replicas)
{
    private const string Host = nameof(Host);
    private const string Port = nameof(Port);

    /// <summary>What it is called.</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"shard {Number} of {Count}");

    /// <summary>The shards that a connection string names.</summary>
    /// <exception cref="InvalidOperationException">A name cannot be one, or two are the same.</exception>
    public static IReadOnlyList<ShardAddress> Of(string connectionString)
    {
        var settings = new DbConnectionStringBuilder { ConnectionString = connectionString };
        var database = settings.TryGetValue(nameof(Database), out var given) ? (string)given : "default";
        settings[nameof(Database)] = database;
        var hosts = settings.TryGetValue(Host, out var named) ? (string)named : "localhost";
        var shards = Parts(hosts, '|').Select(shard => Parts(shard, ',')).ToList();
        if (shards.SelectMany(places => places).CountBy(place => place).FirstOrDefault(place => place.Value > 1).Key is { } twice)
        {
            throw new InvalidOperationException(
                $"ConnectionStrings:ClickHouse names {twice} twice. Several shards of one server need a database each, as in"
                    + " host/events_1|host/events_2."
            );
        }

        if (shards.Any(places => places.DistinctBy(Server).Count() < places.Length))
        {
            throw new InvalidOperationException(
                "ConnectionStrings:ClickHouse names a server twice between two bars. Each replica of a shard needs a server of its own."
            );
        }

        return
        [
            .. shards.Select(
                (places, index) =>
                    new ShardAddress(
                        index + 1,
                        shards.Count,
                        database,
                        [.. places.Select(place => Replica(settings.ConnectionString, place))]
                    )
            ),
        ];
    }

    private static (string Name, string ConnectionString) Replica(string connectionString, string place)
    {
        var (host, database) = place.Split('/', 2) is [var server, var own] ? (server, own) : (place, null);
        // Replicas are called by their address, also in their tables.
        if (!host.All(letter => IsOfName(letter) || letter is '.' or ':' or '[' or ']') || database?.All(IsOfName) == false)
        {
            throw new InvalidOperationException($"ConnectionStrings:ClickHouse names {place}, which cannot be a host.");
        }

        var address = HostString.FromUriComponent(host);
        var one = new DbConnectionStringBuilder { ConnectionString = connectionString, [Host] = address.Host };
        if (address.Port is { } port)
        {
            one[Port] = port.ToString(CultureInfo.InvariantCulture);
        }

        if (database is not null)
        {
            one[nameof(Database)] = database;
        }

        return (host, one.ConnectionString);

        static bool IsOfName(char letter) => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_';
    }

    private static string Server(string place) => place.Split('/')[0];

    private static string[] Parts(string hosts, char separator)
    {
        var parts = hosts.Split(separator, StringSplitOptions.TrimEntries);
        return parts.All(part => part.Trim(',', ' ').Length > 0)
            ? parts
            : throw new InvalidOperationException("ConnectionStrings:ClickHouse names no host where there should be one.");
    }
}
