namespace Experiments.Tests.Warehouse;

/// <summary>A service that may connect to warehouses on this machine.</summary>
public sealed class WarehouseService(TestCluster cluster) : TestService(cluster)
{
    /// <summary>What encrypts the passwords.</summary>
    public static readonly string EncryptionKey = Convert.ToBase64String(Enumerable.Range(0, 32).Select(n => (byte)n).ToArray());

    protected override string[] Settings =>
        [
            "--Warehouse:AllowedHosts=127.0.0.1, *.example.com",
            $"--Warehouse:EncryptionKey={EncryptionKey}",
            "--Warehouse:AllowLoopback=true",
            "--Warehouse:TimeLimit=00:00:05",
            "--Warehouse:MaxRows=100000",
        ];
}
