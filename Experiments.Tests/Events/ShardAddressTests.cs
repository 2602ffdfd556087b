using System.Data.Common;
using Experiments.Api.ClickHouse;

namespace Experiments.Tests.Events;

public class ShardAddressTests
{
    [Theory]
    [InlineData("Host=one;Port=8123;Database=d", "one@one:8123/d")]
    [InlineData("Host=one,two:9000, three ;Port=8123;Database=d", "one@one:8123/d two:9000@two:9000/d three@three:8123/d")]
    [InlineData("Host=[::1]:8124,10.0.0.1;Database=d", "[::1]:8124@[::1]:8124/d 10.0.0.1@10.0.0.1:/d")]
    [InlineData("Username=u", "localhost@localhost:/default")]
    [InlineData("Host=one|two;Database=d", "one@one:/d | two@two:/d")]
    [InlineData("Host=one,two:1 | three,four;Database=d", "one@one:/d two:1@two:1/d | three@three:/d four@four:/d")]
    [InlineData("Host=one/a|one/b|two;Database=d", "one@one:/a | one@one:/b | two@two:/d")]
    public void Each_host_has_its_name_its_port_and_its_database_or_the_common_ones(string connection, string expected)
    {
        var shards = ShardAddress.Of(connection);

        string.Join(" | ", shards.Select(shard => string.Join(' ', shard.Replicas.Select(one => Text(one.Name, one.ConnectionString)))))
            .ShouldBe(expected);
        shards.Select(shard => shard.Name).ShouldBe(Enumerable.Range(1, shards.Count).Select(n => $"shard {n} of {shards.Count}"));

        static string Text(string name, string connection)
        {
            var settings = new DbConnectionStringBuilder { ConnectionString = connection };
            return $"{name}@{settings["Host"]}:{(settings.TryGetValue("Port", out var port) ? port : "")}/{settings["Database"]}";
        }
    }

    [Theory]
    [InlineData("Host=one'two", "one'two, which cannot be a host")]
    [InlineData("Host=one/two/three,four", "one/two/three, which cannot be a host")]
    [InlineData("Host=one/a`b", "one/a`b, which cannot be a host")]
    [InlineData("Host=,", "no host where there should be one")]
    [InlineData("Host=one||two", "no host where there should be one")]
    [InlineData("Host=one,|two", "no host where there should be one")]
    [InlineData("Host=one|one", "one twice. Several shards of one server need a database each, as in host/events_1|host/events_2.")]
    [InlineData("Host=one/a,two|three,one/a", "one/a twice")]
    [InlineData("Host=one/a,one/b|two", "a server twice between two bars.")]
    public void What_cannot_be_is_refused_with_what_to_mend(string connection, string expected) =>
        Should
            .Throw<InvalidOperationException>(() => ShardAddress.Of(connection))
            .Message.ShouldStartWith($"ConnectionStrings:ClickHouse names {expected}");
}
