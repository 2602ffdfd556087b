using Experiments.Api.Platform.Access;

namespace Experiments.Api.Slices.WarehouseConnections;

internal static class WarehouseConnectionRoutes
{
    /// <summary>Maps the warehouse connections of a project, for its admins.</summary>
    public static void MapWarehouseConnections(this RouteGroupBuilder project)
    {
        var connections = project.MapGroup("/warehouse-connections").WithTags("Warehouses").RequireRole(Role.Admin);
        ListWarehouseConnections.Map(connections);
        CreateWarehouseConnection.Map(connections);
        GetWarehouseConnection.Map(connections);
        PatchWarehouseConnection.Map(connections);
        DeleteWarehouseConnection.Map(connections);
        TestWarehouseConnection.Map(connections);
    }
}
