using System.Text;
using System.Text.Json.Nodes;

namespace Experiments.Tests.Warehouse;

/// <summary>
/// Two experiments in one environment that are alike, one counted from the events that are sent and one from a warehouse that has the same
/// in tables.
/// </summary>
internal sealed class WarehouseWorld
{
    private readonly IWarehouseServer _warehouse;
    private readonly string _mark = Guid.NewGuid().ToString("N")[..8];

    private WarehouseWorld(IWarehouseServer warehouse, Given given, long connection) =>
        (_warehouse, Given, Connection) = (warehouse, given, connection);

    public Given Given { get; }

    public long Connection { get; }

    /// <summary>Where the connection is.</summary>
    public string ConnectionPath => $"{PathOf(Given)}{Connection}/";

    public string Assignments => $"assignments_{_mark}";

    public string Events => $"events \"{_mark}\"`;--";

    private string QuotedEvents =>
        _warehouse.Kind == "postgresql" ? $"\"{Events.Replace("\"", "\"\"")}\"" : $"`{Events.Replace("`", "\\`")}`";

    /// <summary>The source of an experiment in these tables.</summary>
    public object Source =>
        new
        {
            connection = Connection,
            assignments = new
            {
                table = Assignments,
                unit = "user",
                variant = "variant",
                at = "at",
                experiment = "experiment",
                experiment_key = "the one",
                traits = new[] { "country", "plan" },
            },
            events = new
            {
                table = Events,
                unit = "user",
                @event = "name",
                at = "at",
                value = "value",
                metadata = "props",
            },
        };

    /// <summary>Where the connections of a project are.</summary>
    public static string PathOf(Given given) => $"/api/v1/projects/{given.ProjectId}/warehouse-connections/";

    /// <summary>An environment with a connection, and tables in the warehouse with nothing in them.</summary>
    public static async Task<WarehouseWorld> In(TestService service, IWarehouseServer warehouse)
    {
        var given = await Given.AnEnvironment(service);
        var connection = (
            await service.Admin.Post(
                PathOf(given),
                new
                {
                    name = "warehouse",
                    kind = warehouse.Kind,
                    host = "127.0.0.1",
                    port = warehouse.Port,
                    database = warehouse.Database,
                    username = warehouse.Username,
                    password = "",
                    tls = false,
                }
            )
        ).Must(201);
        var world = new WarehouseWorld(warehouse, given, connection.Id);
        var (text, optional, instant, json) = warehouse.Types;
        await warehouse.Execute(
            $"CREATE TABLE {world.Assignments} (\"user\" {optional}, variant {optional}, at {instant}, experiment {text},"
                + $" country {optional}, plan {optional}) {warehouse.Engine}"
        );
        await warehouse.Execute(
            $"CREATE TABLE {world.QuotedEvents} (\"user\" {optional}, name {text}, at {instant}, value {optional}, props {json})"
                + $" {warehouse.Engine}"
        );
        return world;
    }

    public async Task<Reply> AnExperiment(IEnumerable<Reply> metrics, object? source = null) =>
        (
            await Given.Admin.Post(
                Given.Experiments,
                new
                {
                    name = source is null ? "sent" : "warehouse",
                    hypothesis = "h",
                    feature = (await Given.AFeature()).Id,
                    breakdowns = new[] { "country", "plan" },
                    metrics = metrics.Select(metric => new { metric = metric.Id, expected_direction = "increase" }).ToArray(),
                    source,
                }
            )
        ).Must(201);

    /// <summary>Writes what was sent into the tables.</summary>
    public async Task Write(IEnumerable<JsonObject> events)
    {
        var (assigned, done) = (new StringBuilder(), new StringBuilder());
        foreach (var one in events)
        {
            var (who, value, at) = (Text(one["identifier"]), Text(one["value"]), Instant(one["timestamp"]!.GetValue<long>()));
            if (one["event"]!.GetValue<string>() == "$flag_exposure")
            {
                var traits = one["traits"];
                Add(assigned, $"({who}, {value}, {at}, 'the one', {Text(traits?["country"])}, {Text(traits?["plan"])})");
            }
            else
            {
                Add(done, $"({who}, {Text(one["event"])}, {at}, {value}, {Text(one["metadata"] ?? new JsonObject())})");
            }
        }

        await Insert(Assignments, assigned);
        await Insert(QuotedEvents, done);
    }

    public Task Execute(string sql) => _warehouse.Execute(sql);

    /// <summary>Refreshes the results until they are of a read that began after this call.</summary>
    public async Task<Reply> Read(Reply experiment)
    {
        var since = await Given.Service.Query<DateTime>("SELECT clock_timestamp()", new { });
        Reply? results = null;
        await Given.Eventually(
            async () =>
                (results = await Given.Admin.Get($"{Given.Experiments}{experiment.Id}/results/?refresh=true"))
                    .Must(200)["warehouse"]
                    .AsObject()
                    is var read
                && ((Time(read["read_at"]) > since && read["error"] is null) || Time(read["error_at"]) > since),
            TimeSpan.FromSeconds(30)
        );
        return results!;

        static DateTime? Time(JsonNode? instant) => instant?.GetValue<DateTime>().ToUniversalTime();
    }

    private Task Insert(string table, StringBuilder rows) =>
        rows.Length == 0 ? Task.CompletedTask : _warehouse.Execute($"INSERT INTO {table} VALUES {rows}");

    private static void Add(StringBuilder rows, string row) => rows.Append(rows.Length == 0 ? "" : ", ").Append(row);

    private string Instant(long at) =>
        _warehouse.Kind == "postgresql" ? $"to_timestamp({at} / 1000.0)" : $"fromUnixTimestamp64Milli({at}, 'UTC')";

    private static string Text(JsonNode? value) =>
        value is null ? "NULL"
        : value is JsonObject json ? $"'{json.ToJsonString()}'"
        : $"'{value}'";
}
