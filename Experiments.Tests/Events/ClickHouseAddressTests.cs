using System.Data.Common;
using Experiments.Api.ClickHouse;

namespace Experiments.Tests.Events;

public class ClickHouseAddressTests
{
    [Theory]
    [InlineData("Host=one;Port=8123;Database=d", "one@one:8123")]
    [InlineData("Host=one,two:9000, three ;Port=8123;Database=d", "one@one:8123 two:9000@two:9000 three@three:8123")]
    [InlineData("Host=[::1]:8124,10.0.0.1;Database=d", "[::1]:8124@[::1]:8124 10.0.0.1@10.0.0.1:")]
    [InlineData("Database=d", "localhost@localhost:")]
    public void Each_host_is_called_by_its_name_and_has_a_port_of_its_own_or_the_common_one(string connection, string expected)
    {
        var addresses = ClickHouseAddresses
            .Of(connection)
            .Select(address => (address.Name, Settings: new DbConnectionStringBuilder { ConnectionString = address.ConnectionString }))
            .ToList();

        string.Join(' ', addresses.Select(one => $"{one.Name}@{one.Settings["Host"]}:{Port(one.Settings)}")).ShouldBe(expected);
        addresses.ShouldAllBe(one => (string)one.Settings["Database"] == "d");

        static object Port(DbConnectionStringBuilder settings) => settings.TryGetValue("Port", out var port) ? port : "";
    }

    [Theory]
    [InlineData("Host=one'two")]
    [InlineData("Host=one/two,three")]
    [InlineData("Host=,")]
    public void What_cannot_be_a_host_is_refused(string connection) =>
        Should
            .Throw<InvalidOperationException>(() => ClickHouseAddresses.Of(connection))
            .Message.ShouldStartWith("ConnectionStrings:ClickHouse names ");
}
