namespace Experiments.Api.Platform.Settings;

/// <summary>The section <c>Requests</c> of the configuration.</summary>
internal sealed class RequestOptions
{
    public const string Section = "Requests";

    /// <summary>How long a request may take. A statement of the database may take as long.</summary>
    public TimeSpan Deadline { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>How long to go on answering after the service was told to stop, so that balancers notice.</summary>
    public TimeSpan Drain { get; set; } = TimeSpan.Zero;

    /// <summary>
    /// The address by which clients know the service, such as <c>https://experiments.example</c>, for the links in responses. Without it,
    /// they are made of the Host header.
    /// </summary>
    public Uri? PublicAddress { get; set; }

    /// <summary>
    /// How many requests of the management API one caller may send per second, and twice as many at once; 0 for no limit.
    /// </summary>
    public int PerSecond { get; set; } = 1000;

    /// <summary>How many credentials from one address may be refused per minute; 0 for no limit.</summary>
    public int FailedSignInsPerMinute { get; set; } = 600;
}
