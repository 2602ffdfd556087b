namespace Experiments.Api.Warehouse;

/// <summary>A warehouse cannot be read. The message says what to mend, and no secret.</summary>
internal sealed class WarehouseException(string message, Exception? inner = null) : Exception(message, inner);
