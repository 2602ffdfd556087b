namespace Experiments.Api.Platform.Settings;

/// <summary>The section <c>Warehouse</c> of the configuration: experiments that are counted from databases of customers.</summary>
internal sealed class WarehouseOptions
{
    public const string Section = "Warehouse";

    /// <summary>
    /// The hosts that may be connected to, separated by commas; <c>*.example.com</c> is any host below it. None switches the feature off.
    /// </summary>
    public string AllowedHosts { get; set; } = "";

    /// <summary>Encrypts the passwords of connections: 32 bytes in base64.</summary>
    public string EncryptionKey { get; set; } = "";

    /// <summary>Whether a host may be this machine. For development only.</summary>
    public bool AllowLoopback { get; set; }

    /// <summary>How long one read of an experiment may take.</summary>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How many reads a replica does at once.</summary>
    public int Concurrent { get; set; } = 4;

    /// <summary>How many rows one read of an experiment may have.</summary>
    public long MaxRows { get; set; } = 50_000_000;

    public bool IsOn => AllowedHosts.Length > 0;

    /// <summary>The key, or null if it is not one.</summary>
    public byte[]? Key
    {
        get
        {
            var bytes = new byte[32];
            return Convert.TryFromBase64String(EncryptionKey, bytes, out var length) && length == bytes.Length ? bytes : null;
        }
    }
}
