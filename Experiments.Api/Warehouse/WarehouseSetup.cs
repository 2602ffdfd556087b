namespace Experiments.Api.Warehouse;

/// <summary>Registers what reads from the warehouses of customers.</summary>
internal static class WarehouseSetup
{
    public static void AddWarehouse(this IServiceCollection services)
    {
        services.AddSingleton<AllowedHosts>();
        services.AddSingleton<PasswordCipher>();
        services.AddSingleton<WarehouseClient>();
        services.AddSingleton<WarehouseTestRunner>();
        services.AddSingleton<WarehouseReader>();
        services.AddSingleton<WarehouseReads>();
    }
}
