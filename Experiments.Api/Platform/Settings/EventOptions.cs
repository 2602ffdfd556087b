namespace Experiments.Api.Platform.Settings;

/// <summary>The section <c>Events</c> of the configuration.</summary>
internal sealed class EventOptions
{
    public const string Section = "Events";

    public const string PostgreSql = "postgresql";

    public const string ClickHouse = "clickhouse";

    /// <summary>What is said of a cluster that cannot be one.</summary>
    public const string WrongCluster = "Events:Cluster must be 1 to 64 letters, digits, - and _, for example main.";

    /// <summary>Where events are kept: <c>postgresql</c> or <c>clickhouse</c>.</summary>
    public string Store { get; set; } = PostgreSql;

    /// <summary>
    /// The name under which replicas of ClickHouse keep their tables alike, through ClickHouse Keeper or ZooKeeper. Null where there are
    /// none, or a service that replicates by itself.
    /// </summary>
    public string? Cluster { get; set; }

    /// <summary>How long events are kept that no experiment needs.</summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(400);

    /// <summary>
    /// Whether each address may only hold a share of the memory for events. For services whose clients are direct, or whose proxies say
    /// whom they speak for.
    /// </summary>
    public bool ShareByAddress { get; set; }

    /// <summary>Whether this can be the name of a cluster, which is part of a path.</summary>
    public static bool IsCluster(string name) =>
        name.Length is >= 1 and <= 64 && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_');
}
