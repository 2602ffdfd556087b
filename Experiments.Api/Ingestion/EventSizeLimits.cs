namespace Experiments.Api.Ingestion;

/// <summary>How much an event may hold: characters, or bytes where the name says so.</summary>
internal static class EventSizeLimits
{
    public const int Event = 256;
    public const int FeatureName = 2000;
    public const int Id = 200;
    public const int ValueBytes = 128 * 1024;
    public const int TraitsBytes = 32 * 1024;
    public const int MetadataBytes = 8 * 1024;

    /// <summary>How many events one request may have.</summary>
    public const int Batch = 10_000;

    /// <summary>The earliest valid timestamp: the start of 2020.</summary>
    public static readonly DateTime Earliest = DateTime.UnixEpoch.AddMilliseconds(1_577_836_800_000);

    /// <summary>How far the clock of a client may be ahead.</summary>
    public static readonly TimeSpan Ahead = TimeSpan.FromHours(24);

    /// <summary>
    /// The maximum nesting depth of traits and metadata, counted from the event; and the maximum depth at which a body is read at all.
    /// </summary>
    public const int Depth = 64;

    public const int ReadDepth = 512;

    public static readonly JsonContent.Limits Trait = new(200, 2000);
    public static readonly JsonContent.Limits Any = new(int.MaxValue, int.MaxValue);
}
