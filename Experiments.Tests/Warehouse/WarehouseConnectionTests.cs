using System.Net;
using System.Net.Sockets;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Warehouse;
using Microsoft.Extensions.Options;

namespace Experiments.Tests.Warehouse;

/// <summary>Connections to warehouses: who may make them, whereto, and that their passwords are never shown.</summary>
public class WarehouseConnectionTests(WarehouseService service, SharedService off, PostgreSqlWarehouse warehouse)
    : IClassFixture<WarehouseService>,
        IClassFixture<SharedService>,
        IClassFixture<PostgreSqlWarehouse>
{
    private const string Secret = "correct horse battery staple";

    [Fact]
    public async Task A_connection_is_made_read_changed_and_deleted_and_its_password_is_never_shown()
    {
        var given = await Given.AnEnvironment(service);

        var made = (await service.Admin.Post(At(given), Body())).Must(201);

        made.Headers.Location!.ToString().ShouldBe($"{At(given)}{made.Id}/");
        made["tls"].GetValue<bool>().ShouldBeFalse();
        var read = (await service.Admin.Get($"{At(given)}{made.Id}/")).Must(200);
        read.Text.ShouldBe(made.Text);
        (await service.Admin.Get(At(given))).Must(200)["results"].AsArray().ShouldHaveSingleItem()!.ToJsonString().ShouldBe(made.Text);
        var changed = (await service.Admin.Patch($"{At(given)}{made.Id}/", new { name = "Replica", password = "another" })).Must(200);
        changed["name"].GetValue<string>().ShouldBe("Replica");
        var stored = await service.Query<byte[]>("SELECT password FROM warehouse_connections WHERE id = @Id", new { made.Id });
        Cipher().Decrypt(stored, given.ProjectId).ShouldBe("another");
        // Not for another project, and not with another key.
        Should.Throw<WarehouseException>(() => Cipher().Decrypt(stored, given.ProjectId + 1));
        Should.Throw<WarehouseException>(() => Cipher(Convert.ToBase64String(new byte[32])).Decrypt(stored, given.ProjectId));

        (await service.Admin.Delete($"{At(given)}{made.Id}/")).Must(204);

        (await service.Admin.Get($"{At(given)}{made.Id}/")).MustBe(404, "warehouse_connection.not_found");
        (await service.Query<byte[]>("SELECT password FROM warehouse_connections WHERE id = @Id", new { made.Id })).ShouldBeEmpty();
        var audit = (await service.Admin.Get($"/api/v1/projects/{given.ProjectId}/audit/")).Must(200);
        audit.Text.ShouldContain("warehouse_connection.created");
        audit.Text.ShouldContain("warehouse_connection.updated");
        audit.Text.ShouldContain("warehouse_connection.deleted");
        foreach (var shown in new[] { made, read, changed, audit })
        {
            shown.Text.ShouldNotContain(Secret);
            shown.Text.ShouldNotContain("another");
        }
    }

    [Theory]
    [InlineData("name", null)]
    [InlineData("name", "")]
    [InlineData("kind", null)]
    [InlineData("kind", "oracle")]
    [InlineData("host", null)]
    [InlineData("host", "localhost")]
    [InlineData("host", "example.com")]
    [InlineData("host", "169.254.169.254")]
    [InlineData("host", "127.0.0.1.evil.org")]
    [InlineData("port", 0)]
    [InlineData("port", 65_536)]
    [InlineData("database", null)]
    [InlineData("username", null)]
    [InlineData("password", null)]
    [InlineData("password", "a\0b")]
    public async Task What_is_wrong_is_named_and_nothing_is_written(string field, object? value)
    {
        var given = await Given.AnEnvironment(service);
        var body = Body();
        body[field] = value;

        (await service.Admin.Post(At(given), body)).MustName(field);

        (
            await service.Query<long>("SELECT count(*) FROM warehouse_connections WHERE project_id = @ProjectId", new { given.ProjectId })
        ).ShouldBe(0);
    }

    [Fact]
    public async Task A_password_goes_to_no_other_host_than_the_one_it_was_given_for()
    {
        var given = await Given.AnEnvironment(service);
        var made = (await service.Admin.Post(At(given), Body())).Must(201);

        foreach (var moved in new object[] { new { host = "db.example.com" }, new { port = 1234 }, new { tls = true } })
        {
            (await service.Admin.Patch($"{At(given)}{made.Id}/", moved)).MustName("password");
        }

        (await service.Admin.Get($"{At(given)}{made.Id}/")).Text.ShouldBe(made.Text);
        (await service.Admin.Patch($"{At(given)}{made.Id}/", new { host = "db.example.com", password = "again" })).Must(200);
        (await service.Admin.Patch($"{At(given)}{made.Id}/", new { host = "elsewhere.org", password = "again" })).MustName("host");
    }

    [Fact]
    public async Task Names_are_unique_in_a_project_and_other_projects_see_nothing()
    {
        var (given, stranger) = (await Given.AnEnvironment(service), await Given.AnEnvironment(service));
        var made = (await service.Admin.Post(At(given), Body())).Must(201);
        var body = Body();
        body["name"] = "ANALYTICS";

        (await service.Admin.Post(At(given), body)).MustBe(409, "warehouse_connection.name_taken");
        (await service.Admin.Post(At(stranger), body)).Must(201);

        foreach (
            var reply in new[]
            {
                await service.Admin.Get($"{At(stranger)}{made.Id}/"),
                await service.Admin.Patch($"{At(stranger)}{made.Id}/", new { name = "x" }),
                await service.Admin.Delete($"{At(stranger)}{made.Id}/"),
                await service.Admin.Post($"{At(stranger)}{made.Id}/test/"),
            }
        )
        {
            reply.MustBe(404, "warehouse_connection.not_found");
        }
    }

    [Fact]
    public async Task A_test_says_whether_the_warehouse_answers_and_what_to_mend()
    {
        var given = await Given.AnEnvironment(service);
        var made = (await service.Admin.Post(At(given), Body())).Must(201);
        (await service.Admin.Post($"{At(given)}{made.Id}/test/")).Must(200)["version"].GetValue<string>().ShouldContain("PostgreSQL");

        foreach (
            var (field, value, said) in new (string, object, string)[]
            {
                ("database", "nowhere", "nowhere"),
                ("port", 1, "127.0.0.1:1"),
                ("host", "nobody.example.com", "nobody.example.com"),
            }
        )
        {
            var body = Body();
            (body["name"], body[field]) = (field, value);
            var broken = (await service.Admin.Post(At(given), body)).Must(201);
            var refused = (await service.Admin.Post($"{At(given)}{broken.Id}/test/")).MustBe(422, "warehouse.failed");
            refused["detail"].GetValue<string>().ShouldContain(said);
            refused.Text.ShouldNotContain(Secret);
        }
    }

    [Fact]
    public async Task Without_allowed_hosts_there_are_no_warehouses()
    {
        var given = await Given.AnEnvironment(off);

        (await off.Admin.Post(At(given), Body())).MustBe(409, "warehouse.off");
        (await off.Admin.Get(At(given))).Must(200)["count"].GetValue<int>().ShouldBe(0);
    }

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.8.8.8", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("0.1.2.3", false)]
    [InlineData("::", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("fe80::1", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("localhost", false)]
    [InlineData("203.0.113.7", false)]
    [InlineData("168.63.129.16", false)]
    [InlineData("100.100.100.200", false)]
    [InlineData("fd00:ec2::254", false)]
    [InlineData("64:ff9b::a9fe:a9fe", false)]
    [InlineData("2002:7f00:1::", false)]
    [InlineData("::127.0.0.1", false)]
    [InlineData("fd00:ec2::23", false)]
    [InlineData("fd20:ce::254", false)]
    [InlineData("2001:db8::7", false)]
    [InlineData("2001:db8::8", false)]
    [InlineData("203.0.113.9", false)]
    [InlineData("203.0.113.8", true)]
    [InlineData("10.0.0.5", true)]
    [InlineData("2001:db8::5", true)]
    public async Task An_address_is_checked_once_the_name_is_resolved(string host, bool isAllowed)
    {
        await using var database = new DatabaseServer("Host=203.0.113.7,[2001:db8::7]:5432,2001:db8::8;Port=5432;Username=x", null);
        var hosts = new AllowedHosts(
            Options.Create(new WarehouseOptions { AllowedHosts = host }),
            database,
            [new OwnServer("203.0.113.9", null)]
        );

        if (isAllowed)
        {
            (await hosts.Resolve(host, 5432, CancellationToken.None)).ToString().ShouldBe(host);
        }
        else
        {
            await Should.ThrowAsync<WarehouseException>(() => hosts.Resolve(host, 5432, CancellationToken.None));
        }
    }

    [Theory]
    [InlineData("clickhouse", "")]
    [InlineData(
        "clickhouse",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-ClickHouse-Format: RowBinaryWithNamesAndTypes\r\n\r\n2\r\n\u0001\u0001\r\n"
    )]
    [InlineData("postgresql", "")]
    public async Task A_server_that_stalls_holds_nobody(string kind, string said)
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        using var stop = new CancellationTokenSource();
        var stalling = Task.Run(async () =>
        {
            var held = new List<TcpClient>();
            try
            {
                while (true)
                {
                    held.Add(await server.AcceptTcpClientAsync(stop.Token));
                    await held[^1].GetStream().WriteAsync(System.Text.Encoding.Latin1.GetBytes(said), stop.Token);
                }
            }
            catch (OperationCanceledException)
            {
                held.ForEach(client => client.Dispose());
            }
        });
        var client = Reader();
        var clock = System.Diagnostics.Stopwatch.StartNew();

        var failure = await Should.ThrowAsync<WarehouseException>(() =>
            client.Read(At(kind, server), "SELECT 1", new Dictionary<string, object>(), _ => { }, TimeSpan.FromSeconds(1), default)
        );

        failure.Message.ShouldBe("The warehouse did not answer within 1 s.");
        clock.Elapsed.ShouldBeLessThan(TimeSpan.FromSeconds(10));
        await stop.CancelAsync();
        await stalling;
    }

    [Fact]
    public async Task Of_an_endless_answer_that_says_what_is_wrong_the_beginning_is_read()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        var head = "HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 1\r\nContent-Length: 1000000000\r\n\r\n";
        var said = "Code: 1. a\0b" + string.Concat(Enumerable.Repeat("\U0001F600", 10_000));
        var endless = Task.Run(async () =>
        {
            using var one = await server.AcceptTcpClientAsync();
            var stream = one.GetStream();
            await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(head));
            try
            {
                for (var sent = 0; sent < 10_000; sent++)
                {
                    await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(said));
                }

                return "all of it";
            }
            catch (IOException)
            {
                return "hung up";
            }
        });
        var client = Reader();

        var failure = await Should.ThrowAsync<WarehouseException>(() =>
            client.Read(At("clickhouse", server), "SELECT 1", new Dictionary<string, object>(), _ => { }, TimeSpan.FromSeconds(20), default)
        );

        failure.Message.ShouldStartWith("ClickHouse refused: Code: 1. a b\U0001F600");
        failure.Message.EnumerateRunes().Count().ShouldBe(500);
        (await endless).ShouldBe("hung up");
    }

    // One that may connect to this machine.
    private static WarehouseClient Reader()
    {
        var options = Options.Create(
            new WarehouseOptions
            {
                AllowedHosts = "127.0.0.1",
                AllowLoopback = true,
                EncryptionKey = WarehouseService.EncryptionKey,
            }
        );
        return new(new AllowedHosts(options, new DatabaseServer("Host=203.0.113.7;Username=x", null), []), Cipher(), options);
    }

    private static WarehouseConnection At(string kind, TcpListener server) =>
        new()
        {
            ProjectId = 1,
            Kind = kind,
            Host = "127.0.0.1",
            Port = ((IPEndPoint)server.LocalEndpoint).Port,
            Database = "d",
            Username = "u",
            Password = Cipher().Encrypt("p", 1),
        };

    private static string At(Given given) => WarehouseWorld.PathOf(given);

    private static PasswordCipher Cipher(string? key = null) =>
        new(Options.Create(new WarehouseOptions { EncryptionKey = key ?? WarehouseService.EncryptionKey }));

    private Dictionary<string, object?> Body() =>
        new()
        {
            ["name"] = "Analytics",
            ["kind"] = "postgresql",
            ["host"] = "127.0.0.1",
            ["port"] = warehouse.Port,
            ["database"] = warehouse.Database,
            ["username"] = warehouse.Username,
            ["password"] = Secret,
            ["tls"] = false,
        };
}
